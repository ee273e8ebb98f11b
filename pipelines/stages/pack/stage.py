"""pack: audio and labels from a source to shards with an index."""

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from cluster.storage.urls import absolute
from pipelines.runtime.declared import Fingerprints, Work, stage_function
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.stage import Stage, listing_fingerprint
from pipelines.runtime.words import counted, hours
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.stages.pack.streams import (
    COPIES,
    copy_streams,
    remove_copies,
    shard_streams,
    streams_fingerprint,
)
from pipelines.stages.settings import PackSettings
from shards.audio.channels import channel_notes
from shards.errors import several, told
from shards.io.store import Store
from shards.io.tar_members import TAR_SUFFIXES, MemberStore
from shards.label_columns import label_counts
from shards.manifest import write_dataset
from shards.packing.by_channel import by_channel
from shards.packing.plan import ShardPlan, Skipped, plan_shards, survey
from shards.packing.writer import WrittenShard, write_shard
from shards.quality.label_notes import classes_of_kept, label_notes
from shards.sources import SOURCES
from shards.sources._tables import SameStemError, SourceError, SourceListing
from shards.sources._unread import dangling_links, unread_notes
from shards.sources.webdataset import read_options

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 4
# Suffixes of files other than audio and text that a source reads, or tells of by itself.
READ_TOO = {"webdataset": TAR_SUFFIXES}


def _check_names(folder: Store, settings: PackSettings) -> None:
    """Tell of names that are not UTF-8 and lost links with what else a list shows to be wrong.

    Raises:
        SourceError: there are such names or links.
    """
    plain, odd = folder.without_odd_names()
    faults = [SourceError(reason) for _, reason in dangling_links(plain)]
    if odd:
        faults.append(
            SourceError(
                f"{folder.root}: {len(odd)} names are not UTF-8: {told(odd)}; rename them, or "
                "leave them out by --on-error skip"
            )
        )
    if not faults:
        return
    try:
        listing = SOURCES[settings.source](MemberStore(plain), settings.options)
        faults += [SourceError(reason) for _, reason in listing.unusable]
    except SourceError as error:
        faults.append(error)
    raise several(faults)


def _listed(members: MemberStore, settings: PackSettings) -> tuple[SourceListing, list[Skipped]]:
    """What the source holds, and the names left out because tables cannot tell them apart."""
    doubled: list[Skipped] = []
    while True:
        try:
            return SOURCES[settings.source](members, settings.options), doubled
        except SameStemError as error:
            names = {name for group in error.groups for name in group}
            if settings.on_error == "fail" or names <= members.left_out:
                raise
            members.left_out |= names
            for group in error.groups:
                what = f"{' and '.join(group)} differ in their suffix alone: rename one of them"
                doubled += [Skipped(name, what) for name in group]


class _ShardWriter:
    def __init__(self, source: str, out: str, settings: PackSettings) -> None:
        self.source, self.out, self.settings = MemberStore(store(source)), store(out), settings

    def __call__(self, task: ShardTask) -> ShardResult:
        shard = ShardPlan.from_json(task["plan"])
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard.tar"
            written = write_shard(
                self.source,
                shard,
                path,
                codec=self.settings.codec,
                sample_rate_hz=self.settings.sample_rate_hz,
                channel=self.settings.channel,
                on_error=self.settings.on_error,
            )
            name = self.out.publish(shard.name, path)
        return {"outputs": [name], "written": written.stored_as(name).to_json()}


@stage_function(ALGORITHM_VERSION)
def pack(
    source: str,
    out: str,
    settings: PackSettings,
    *,
    inputs: Fingerprints | None = None,
    name: str = "pack",
    fresh: bool = False,
    allow_pipe: bool = False,
) -> Work:
    """Pack a source into a dataset; returns its URL.

    Args:
        source: the folder that the source reads; for webdataset, a list of shards too, at URLs
            that are read as streams.
        out: the folder of the dataset.
        settings: source, codec and shard size.
        inputs: what identifies the source, where a stage made it; else its listing does.
        name: of the stage.
        fresh: start over.
        allow_pipe: whether shards may be commands, `pipe:...`: as somebody typed them, never as a
            file names them.

    Raises:
        SourceError: the source is unknown, or not laid out as expected.
    """
    if settings.source not in SOURCES:
        raise SourceError(
            f"source {settings.source!r}: expected one of {', '.join(sorted(SOURCES))}"
        )
    streams = shard_streams(source, settings.source, allow_pipe=allow_pipe)
    source_url = join(out, COPIES) if streams else absolute(source)
    if streams:
        read_options(settings.options)  # wrong ones are found before hours of copying
    if inputs is not None:
        identified = {kind: fingerprint() for kind, fingerprint in inputs.items()}
    elif streams:
        identified = {"source": streams_fingerprint(streams)}
    else:
        skips = settings.on_error == "skip"
        if not skips:
            _check_names(store(source_url), settings)
        identified = {"source": listing_fingerprint(source_url, leave_odd_names=skips)}

    def work(stage: Stage) -> dict[str, Any]:
        copy_streams(stage, streams)
        folder, odd = store(source_url), list[str]()
        if settings.on_error == "skip":
            folder, odd = folder.without_odd_names()
        members = MemberStore(folder)
        listing, doubled = _listed(members, settings)
        links = [Skipped(*each) for each in dangling_links(folder)]
        skipped = [*listing.unusable, *links, *doubled]
        if skipped and settings.on_error == "fail":
            raise several([SourceError(reason) for _, reason in skipped])
        surveyed, more = survey(
            members, listing.clips, classes=listing.classes, on_error=settings.on_error
        )
        skipped += more
        split = list[str]()
        if settings.channel == "each":
            surveyed, split = by_channel(surveyed)
        skipped += [Skipped(name, "its name is not UTF-8: rename it") for name in odd]
        plans = plan_shards(
            surveyed,
            round(settings.shard_mb * 2**20),
            settings.seed,
            codec=settings.codec,
            sample_rate_hz=settings.sample_rate_hz,
        )
        results = run_shards(
            stage,
            {PurePosixPath(p.name).stem: {"plan": p.to_json()} for p in plans},
            _ShardWriter,
            {"source": source_url, "out": out, "settings": settings},
            weights={PurePosixPath(p.name).stem: len(p.clips) for p in plans},
        )
        written = [WrittenShard.from_json(result["written"]) for result in results]
        skipped += [entry for shard in written for entry in shard.skipped]
        rows = [row for shard in written for row in shard.rows]
        if not rows:
            raise SourceError(f"{source_url}: no clip could be packed; {len(skipped)} left out")
        classes, left_out = listing.classes, list[str]()
        if not listing.keeps_classes:
            classes, left_out = classes_of_kept(rows, listing.classes)
        manifest = write_dataset(
            stage.store,
            rows,
            name=settings.name,
            licence=settings.licence,
            classes=classes,
            shards=[shard.entry for shard in written],
        )
        remove_copies(stage, streams)
        return {
            "clips": manifest.totals.clips,
            "hours": round(manifest.totals.seconds / 3600, 4),
            "shards": len(manifest.shards),
            "subsets": dict(manifest.totals.subsets),
            "labels": label_counts(rows),
            "skipped": [list(entry) for entry in skipped],
            "missing": list(listing.missing),
            "extra": list(listing.extra),
            "unlabelled": list(listing.unlabelled),
            "notes": [
                *listing.notes,
                *unread_notes(folder.names(), READ_TOO.get(settings.source, ())),
                *left_out,
                *split,
                *channel_notes(warning for shard in written for warning in shard.warnings),
                *label_notes(rows),
            ],
        }

    return Work(do=work, settings=settings, inputs=identified, summary=_summary)


def _summary(result: Mapping[str, Any]) -> str:
    clips, shards = counted(result["clips"], "clip"), counted(result["shards"], "shard")
    return f"packed {clips} ({hours(result['hours'])}) into {shards}"
