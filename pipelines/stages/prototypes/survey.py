"""prototypes: what each prototype is used for, from the posteriors of a dataset's frames."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cluster.storage.urls import absolute
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
from pipelines.stages.prototypes.labels import label_sets, rows_of
from pipelines.stages.prototypes.settings import SegmentSettings
from pmam.metrics.clustering import LabelOverlap
from pmam.prototypes.artifact import Prototypes
from pmam.prototypes.usage import PrototypeUsage, TopSegments
from shards.dataset import Dataset
from shards.frames.reader import FrameFile
from shards.index import IndexRow

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
