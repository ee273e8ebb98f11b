"""reindex foreign: an index over WebDataset tars of anybody's, where they are."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from cluster.storage.http import remote_file
from cluster.storage.urls import absolute
from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.parallel_map import RESULTS, ShardResult, ShardTask, run_shards
from pipelines.stages.reindex.derived import Recorded, in_words, write_derived
from pipelines.stages.reindex.settings import ForeignDataset, NewDataset
from shards.audio.channels import channel_notes
from shards.audio.decoding import AudioError
from shards.brace_patterns import expand_braces
from shards.clip import ClipError
from shards.editing.foreign import index_shard
from shards.editing.foreign_rules import ForeignError, ForeignSettings, hint
from shards.editing.foreign_samples import check_rules, unused_notes
from shards.editing.relabel import class_list
from shards.errors import Faults, naming, several, told
from shards.index import IndexRow
from shards.io.tar_members import is_tar
from shards.io.unpacking import UnpackError, unpack
from shards.locations import relative_url, shard_names
from shards.packing.plan import Skipped
from shards.packing.tar_scan import MAGIC_BYTES, PackedError, TarError, packed_by
from shards.packing.writer import WrittenShard

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 3


class _Indexer:
    """Indexes one foreign tar, in one pass over its bytes."""

    def __init__(self, out: str, rule: ForeignSettings, unpack: bool) -> None:
        self.out, self.rule, self.unpack = store(out), rule, unpack

    def __call__(self, task: ShardTask) -> ShardResult:
        """The result of one tar; what cannot be used is told in it, so that all tars are read."""
        url, name = task["url"], task["name"]
        parent, _, base = url.rpartition("/")
        folder = store(parent or "/")
        try:
            with folder.open(base) as file:
                packer = packed_by(file.read(MAGIC_BYTES))
                file.seek(0)
                if packer is not None and self.unpack:
                    return self._unpacked(cast(BinaryIO, file), packer, url, name)
                found = index_shard(cast(BinaryIO, file), url, name, self.rule)
        except PackedError as error:
            told = str(error).removesuffix("; unpack it first")
            way = "give --unpack to write plain copies into the new dataset"
            return {"outputs": [], "refused": f"{told}: {way}"}
        except (ForeignError, TarError, AudioError, ClipError, UnpackError) as error:
            return {"outputs": [], "refused": str(error)}
        return {"outputs": [], "written": found.to_json(), "url": url}

    def _unpacked(self, file: BinaryIO, packer: str, url: str, name: str) -> ShardResult:
        with naming(tempfile.gettempdir()), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard.tar"
            unpack(file, packer, path, url)
            with path.open("rb") as unpacked:
                found = index_shard(unpacked, url, name, self.rule)
            stored = self.out.publish(name, path)
        written = found.stored_as(stored).to_json()
        return {"outputs": [stored], "written": written, "url": None}


@stage_function(ALGORITHM_VERSION)
def reindex_foreign(
    shards: Sequence[str],
    out: str,
    rule: ForeignSettings,
    settings: ForeignDataset,
    *,
    name: str = "reindex-foreign",
    fresh: bool = False,
) -> Work:
    """Index WebDataset tars of anybody's; returns the URL of the new dataset.

    Args:
        shards: tars, folders of tars, or lists with braces, local or at URLs.
        out: the folder of the new dataset.
        rule: how members become clips.
        settings: name, licence, copies.
        name: of the stage.
        fresh: start over.

    Raises:
        ForeignError: no tar is there, or one cannot be indexed.
        NoRangesError: a tar lies on a server of http(s) without byte ranges.
    """
    urls = shard_list(shards)

    def work(stage: Stage) -> dict[str, Any]:
        names = shard_names(urls)
        tasks = {
            PurePosixPath(name).stem: {"url": url, "name": name}
            for url, name in zip(urls, names, strict=True)
        }
        results = run_shards(
            stage,
            tasks,
            _Indexer,
            {"out": out, "rule": rule, "unpack": settings.unpack},
            weights=dict.fromkeys(tasks, 1),
            unit="shards",
        )
        refused = [
            Skipped(task["url"], result["refused"])
            for task, result in zip(tasks.values(), results, strict=True)
            if "refused" in result
        ]
        read = [result for result in results if "refused" not in result]
        found = [(WrittenShard.from_json(result["written"]), result["url"]) for result in read]
        rows = [row for shard, _ in found for row in shard.rows]
        skipped = [*refused, *(entry for shard, _ in found for entry in shard.skipped)]
        unused = sum((Counter(shard.unused) for shard, _ in found), Counter[str]())
        try:
            if refused and rule.on_error == "fail":
                raise several([ForeignError(reason) for _, reason in refused])
            if not rows:
                why = f", such as {skipped[0].source_id}: {skipped[0].reason}" if skipped else ""
                raise ForeignError(f"{urls[0]}: no clip in {len(urls)} shards{why}")
            check_rules(rows, rule)
            _check_keys(rows, dict(zip(names, urls, strict=True)))
        except ForeignError:
            # Other tars or other options are needed, for which what was done here is of no use.
            _forget(stage, results)
            raise
        # A plain copy in the dataset keeps its foreign members: it is named by URL too.
        entries = [
            replace(shard.entry, url=_address(url, out, settings) if url else shard.name)
            for shard, url in found
        ]
        result = write_derived(
            stage,
            rows,
            entries,
            name=settings.name or "dataset",
            licence=settings.licence,
            classes=class_list(rows, rule.classes, None),
        )
        labelled = [row.weak is not None or row.events is not None for row in rows]
        without = [row.source_id for row, has in zip(rows, labelled, strict=True) if not has]
        return {
            **result,
            "skipped": [list(entry) for entry in skipped],
            "unlabelled": without if any(labelled) else [],
            "notes": [
                *unused_notes(unused),
                *channel_notes(warning for shard, _ in found for warning in shard.warnings),
                *result["notes"],
            ],
        }

    inputs, faults = dict[str, str](), Faults(ForeignError, FileNotFoundError)
    for url in urls:
        with faults.noted():
            inputs[url] = _size_and_time(url)
    faults.check()
    return Work(
        do=work, settings=Recorded(rule=rule, dataset=settings), inputs=inputs, summary=in_words
    )


def shard_list(shards: Sequence[str]) -> list[str]:
    """Absolute URLs of all tars that some words name."""
    urls: list[str] = []
    faults = Faults(ForeignError, FileNotFoundError)
    for word in shards:
        for url in map(absolute, expand_braces(word)):
            with faults.noted():
                urls += [url] if is_tar(url) else _tars_below(url)
    faults.check()
    if doubled := [url for url, count in Counter(urls).items() if count > 1]:
        raise ForeignError(f"{told(doubled)}: given twice; expected each shard once")
    return urls


def _tars_below(url: str) -> list[str]:
    below = [name for name in store(url).names() if is_tar(name)]
    if not below:
        raise ForeignError(f"{url}: no tars there; expected .tar, .tar.gz or .tgz")
    return [f"{url}/{name}" for name in below]


def _check_keys(rows: Sequence[IndexRow], urls: Mapping[str, str]) -> None:
    """Refuse an id that clips of two tars have."""
    by_id: dict[str, IndexRow] = {}
    doubled = []
    for row in rows:
        if (other := by_id.setdefault(row.source_id, row)) is not row:
            places = [urls.get(each.shard, each.shard) for each in (other, row)]
            doubled.append(f"{row.source_id!r} is doubled, in {places[0]} and {places[1]}")
    if doubled:
        raise ForeignError(
            f"{told(doubled)}; expected each key once: put the shard's name in front by "
            f"{hint('id', 'shard')}"
        )


def _forget(stage: Stage, results: Sequence[ShardResult]) -> None:
    outputs = [name for result in results for name in result["outputs"]]
    for name in [*outputs, *stage.store.names(RESULTS)]:
        stage.store.delete(name)


def _address(url: str, out: str, settings: NewDataset) -> str:
    return relative_url(url, out) if settings.relative else url


def _size_and_time(url: str) -> str:
    parent, _, name = url.rpartition("/")
    folder = store(parent or "/")
    if url.startswith(("http://", "https://")):
        found = folder.attempt(url, lambda: remote_file(url))
        return f"{found.size} {found.version}"
    size = folder.size(name)
    if size is None:
        raise ForeignError(f"{url}: no such file; check the path")
    return f"{size} {folder.mtime_ns(name)}"
