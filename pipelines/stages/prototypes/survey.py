"""prototypes: what each prototype is used for, from the posteriors of a dataset's frames."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from cluster.storage.filesystems import absolute
from pipelines.inference.events import events_of
from pipelines.runtime.declared import DatasetUrl, PrototypesUrl, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import (
    join,
    open_dataset,
    prototypes_fingerprint,
    read_checkpoint,
    read_prototypes,
    store,
)
from pipelines.runtime.stage import DONE, Stage, fingerprint_of, record_of
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.stages.settings import SegmentSettings
from pmam.events.event import uniform_edges_s
from pmam.events.targets import encode_at
from pmam.metrics.clustering import LabelOverlap, Labels
from pmam.prototypes.artifact import Prototypes
from pmam.prototypes.usage import PrototypeUsage, TopSegments
from shards.dataset import Dataset
from shards.frames.reader import FrameFile, FrameSpec
from shards.index import IndexRow, table_to_rows

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

USAGE = "usage"
BLOCK_VALUES = 1 << 21  # posteriors of a long clip that are in memory at a time
Ints = npt.NDArray[np.int64]


class Survey:
    """Sums over frames and the best segments; those of two parts add up."""

    def __init__(self, prototypes: int, settings: SegmentSettings) -> None:
        self.settings = settings
        self.clips = 0
        self.hop_s = 0.0
        self.usage = PrototypeUsage(prototypes)
        self.top = TopSegments(prototypes, settings.segments, settings.per_clip)
        # By what the labels are of: `strong` of frames, `weak` of whole clips.
        self.overlaps = {"strong": LabelOverlap(), "weak": LabelOverlap()}

    def update(self, other: "Survey") -> None:
        """Add another part, of other clips."""
        self.clips += other.clips
        self.hop_s = other.hop_s
        self.usage.update(other.usage)
        self.top.update(other.top)
        for name, overlap in self.overlaps.items():
            overlap.update(other.overlaps[name])

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "clips": self.clips,
            "hop_s": self.hop_s,
            "usage": self.usage.to_json(),
            "top": self.top.to_json(),
            "overlaps": {name: overlap.items() for name, overlap in self.overlaps.items()},
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], settings: SegmentSettings) -> "Survey":
        """What `to_json` described."""
        found = cls(len(values["top"]), settings)
        found.clips, found.hop_s = values["clips"], values["hop_s"]
        found.usage = PrototypeUsage.from_json(values["usage"])
        found.top = TopSegments.from_json(values["top"], settings.segments, settings.per_clip)
        for name, items in values["overlaps"].items():
            found.overlaps[name] = LabelOverlap((tuple(k), z, count) for k, z, count in items)
        return found


class _Surveyor:
    """Surveys the clips of one file of frames."""

    def __init__(
        self, dataset: str, out: str, frames: str, prototypes: str, settings: SegmentSettings
    ) -> None:
        self.dataset, self.out, self.frames = open_dataset(dataset), store(out), store(frames)
        self.prototypes, self.settings = read_prototypes(prototypes), settings

    def __call__(self, task: ShardTask) -> ShardResult:
        file = FrameFile.open(self.frames, task["frames"])
        found = Survey(len(self.prototypes.weights), self.settings)
        _add(found, file, rows_of(self.dataset, file.keys), self.prototypes)
        self.out.write(task["output"], json.dumps(found.to_json()).encode())
        return {"outputs": [task["output"]], "clips": found.clips, "frames": found.usage.frames}


def survey_clips(
    posteriors: str,
    dataset: Dataset,
    prototypes: Prototypes,
    settings: SegmentSettings,
    *,
    order: Sequence[str],
    most: int,
) -> tuple[Survey, int]:
    """A survey of some clips, in this process.

    Args:
        posteriors: URL of what `label` wrote with these prototypes.
        dataset: whose labels are compared.
        prototypes: those of the posteriors.
        settings: which segments stand for a prototype.
        order: keys of clips, those that are wanted most first.
        most: how many clips are looked through.

    Returns:
        The survey, and how many clips have posteriors.
    """
    names = record_of(posteriors)["result"]["outputs"]
    files = [FrameFile.open(store(posteriors), name) for name in names]
    held = {key for file in files for key in file.keys}
    chosen = set([key for key in order if key in held][:most])
    found = Survey(len(prototypes.weights), settings)
    for file in files:
        if here := [key for key in file.keys if key in chosen]:
            _add(found, file, rows_of(dataset, here), prototypes)
        file.release()
    return found, len(held)


def _add(found: Survey, file: FrameFile, rows: Sequence[IndexRow], prototypes: Prototypes) -> None:
    """Add some clips of a file to a survey."""
    found.clips, found.hop_s = found.clips + len(rows), file.spec.hop_s
    for row in rows:
        found.top.add_clip(
            row.key,
            _blocks(file, row, found, prototypes),
            width=max(1, round(found.settings.segment_s / file.spec.hop_s)),
            hop_s=file.spec.hop_s,
            first_frame_s=file.spec.first_frame_s,
        )


def _blocks(
    file: FrameFile, row: IndexRow, found: Survey, prototypes: Prototypes
) -> Iterator[tuple[npt.NDArray[np.float32], Ints]]:
    """A clip's posteriors and their grid positions; all sums are added to on the way."""
    kept = file.positions(row.key)
    positions = np.arange(file.count(row.key)) if kept is None else kept.astype(np.int64)
    if not len(positions):
        return
    level = "weak" if row.events is None else "strong"
    kinds, of_grid = label_sets(row, file.spec, int(positions[-1]) + 1)
    size = max(1, BLOCK_VALUES // len(prototypes.weights))
    for first in range(0, len(positions), size):
        values = file.read(row.key, first, first + size)
        if file.spec.kind == "features":
            values = prototypes.posteriors(torch.from_numpy(values.copy())).numpy()
        here = positions[first : first + size]
        likeliest = found.usage.add(values)
        used = likeliest >= 0
        if kinds:
            found.overlaps[level].add(kinds, of_grid[here][used], likeliest[used])
        yield values, here


def label_sets(row: IndexRow, spec: FrameSpec, frames: int) -> tuple[list[Labels], Ints]:
    """The sets of classes that sound in a clip, and which of them each frame of the grid has.

    Where a clip has no events but tags, all of its frames have these; without any label there
    are no sets. `frames` is what the grid must have at least.
    """
    frames = max(frames, int(np.ceil(row.duration_s / spec.hop_s)))
    if row.events is None:
        kinds = [] if row.weak is None else [tuple(sorted(set(row.weak)))]
        return kinds, np.zeros(frames, np.int64)
    names = sorted({event.label for event in row.events})
    edges_s = uniform_edges_s(frames, spec.hop_s, spec.first_frame_s)
    events = events_of(  # but those without length or behind the clip: `pmam inspect` tells of them
        e for e in row.events if e.offset_s > e.onset_s and e.onset_s < edges_s[-1]
    )
    active = encode_at(events, names, edges_s) > 0  # (frames, classes of the clip)
    kinds_found, of_grid = np.unique(active, axis=0, return_inverse=True)
    kinds = [tuple(n for n, on in zip(names, kind, strict=True) if on) for kind in kinds_found]
    return kinds, of_grid.reshape(-1)


def rows_of(dataset: Dataset, keys: Collection[str]) -> list[IndexRow]:
    """The index rows of some clips, without building those of others.

    Raises:
        PipelineError: a clip is not in the dataset.
    """
    held = pc.is_in(dataset.table["key"], value_set=pa.array(list(keys), pa.string()))
    rows = table_to_rows(dataset.table.filter(held))
    if missing := set(keys) - {row.key for row in rows}:
        raise PipelineError(
            f"{dataset.store.root}: has no clip {min(missing)}, of which there are posteriors; "
            "give the dataset that was labelled, or one over the same audio"
        )
    return rows


@stage_function(ALGORITHM_VERSION)
def survey(
    prototypes: PrototypesUrl,
    dataset: DatasetUrl,
    out: str,
    settings: SegmentSettings,
    *,
    posteriors: str | None = None,
    embeddings: str | None = None,
    name: str = "prototypes",
    fresh: bool = False,
) -> Work:
    """Find what prototypes are used for; returns the URL of what `survey_of` reads.

    Each file of frames is read once.

    Args:
        prototypes: the prototypes of a fit.
        dataset: the dataset whose frames were labelled; its labels are compared.
        out: the folder of the stage.
        settings: which segments stand for a prototype.
        posteriors: URL of what `label` wrote with these prototypes, or
        embeddings: URL of what `embed` wrote, from which posteriors are computed; without either
            the posteriors of the run are taken that the fit is a part of.
        name: of the stage.
        fresh: start over.

    Raises:
        PipelineError: there are no posteriors, or they are of other prototypes.
    """
    if embeddings is not None:
        frames_url = absolute(embeddings)
        _check_embeddings(prototypes, frames_url)
    else:
        frames_url = absolute(posteriors) if posteriors else _beside(prototypes)
        made_of = record_of(frames_url)["inputs"].get("prototypes")
        if made_of != prototypes_fingerprint(prototypes):
            raise PipelineError(
                f"{frames_url}: its posteriors are not of the prototypes of {prototypes}; give "
                "those that `pmam label` computed with them"
            )

    def work(stage: Stage) -> dict[str, Any]:
        tasks = {
            f"{number:05d}": {"frames": name, "output": f"{USAGE}/{number:05d}.json"}
            for number, name in enumerate(record_of(frames_url)["result"]["outputs"])
        }
        arguments = {
            "dataset": dataset,
            "out": out,
            "frames": frames_url,
            "prototypes": prototypes,
            "settings": settings,
        }
        weights = dict.fromkeys(tasks, 1)
        results = run_shards(stage, tasks, _Surveyor, arguments, weights=weights, unit="files")
        return {
            "clips": sum(result["clips"] for result in results),
            "frames": sum(result["frames"] for result in results),
            "outputs": [name for result in results for name in result["outputs"]],
        }

    frames = {"frames": fingerprint_of(frames_url)}
    return Work(do=work, settings=settings, inputs=frames, summary=_summary)


def survey_of(url: str, settings: SegmentSettings) -> Survey:
    """What a survey found, all of its files together."""
    outputs = record_of(url)["result"]["outputs"]
    total, *others = (Survey.from_json(json.loads(store(url).read(n)), settings) for n in outputs)
    for other in others:
        total.update(other)
    return total


def _beside(fit_url: str) -> str:
    """`label-1` for `fit-1` of a run."""
    parent, _, name = fit_url.rstrip("/").rpartition("/")
    found = join(parent, name.replace("fit", "label"))
    if found != fit_url and store(found).size(DONE) is not None:
        return found
    raise PipelineError(
        f"{fit_url}: got no posteriors, and there are none at {found}; give --posteriors "
        "(what `pmam label` wrote) or --embeddings (what `pmam embed` wrote)"
    )


def _check_embeddings(fit_url: str, embeddings: str) -> None:
    fitted = read_prototypes(fit_url)
    checkpoint = record_of(embeddings)["result"].get("checkpoint")
    if checkpoint is None or read_checkpoint(checkpoint).fingerprint != fitted.encoder:
        raise PipelineError(
            f"{embeddings}: not of the encoder that {fit_url} was fitted with; give the "
            "embeddings of the fit, or of other clips by the same encoder"
        )


def _summary(result: Mapping[str, Any]) -> str:
    return f"looked through {counted(result['clips'], 'clip')}"
