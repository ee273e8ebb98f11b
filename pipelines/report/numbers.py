"""What detectors are worth on test clips, with intervals over resamples of the clips."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from pipelines.inference.events import events_of
from pipelines.inference.frame_job import open_frames
from pipelines.report.contents import Arm, RunContents
from pipelines.runtime.urls import open_dataset
from pmam.events.decoding import decode_at
from pmam.events.event import Event, FloatArray
from pmam.events.settings import PostprocessSettings
from pmam.metrics.average_precision import clip_table, frame_table
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.event_f1 import event_counts
from pmam.metrics.postprocess_choice import postprocessed
from pmam.metrics.psds import PSDS1, PSDS2, PSDSResult, psds_counts
from pmam.metrics.results import MetricResult
from pmam.settings import from_json
from shards.index import IndexRow

LEVEL = 0.95
Result = Callable[[FloatArray], MetricResult]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A detector's scores of the clips of one subset, beside the truth."""

    arm: Arm
    run: RunContents
    rows: list[IndexRow]  # in the order of `clips.clips`
    clips: EvaluationSet
    detections: Mapping[str, list[Event]]
    postprocess: PostprocessSettings

    @property
    def identity(self) -> tuple[str, ...]:
        """What two outputs must share to be compared clip by clip."""
        return tuple(self.clips.clips)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A metric of one output: its value and, for each resample, its value again.

    Args:
        value, per_class: of the clips as they are; NaN where undefined.
        draws: ``(draws,)`` values of the resamples.
        class_draws: ``(draws, classes)``.
    """

    value: float
    per_class: Mapping[str, float]
    draws: FloatArray
    class_draws: FloatArray

    def of_class(self, number: int | None) -> tuple[float, FloatArray]:
        """The value of a class, or of all of them, and those of its resamples."""
        if number is None:
            return self.value, self.draws
        return list(self.per_class.values())[number], self.class_draws[:, number]


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """All metrics of one output, by name, and the operating curve of PSDS1 and PSDS2."""

    metrics: Mapping[str, Measured]
    curves: Mapping[str, PSDSResult]


@dataclass(frozen=True, kw_only=True)
class Range:
    """A number with its interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference(Range):
    """How much the first of two is better than the second, on the same resamples.

    Args:
        below: the share of the resamples in which it is worse.
    """

    below: float


def scored(run: RunContents, arm: Arm, subset: str) -> Scored | None:
    """The scores of a subset as `evaluate` counts them; None where no clip has strong labels."""
    assert run.dataset is not None
    rows = [row for row in open_dataset(run.dataset).select([subset]) if row.events is not None]
    if not rows:
        return None
    told = run.done[arm.score]["result"]
    stored = from_json(PostprocessSettings, told.get("postprocess", {}))
    postprocess = run.settings.evaluate.applied(stored)
    frames = open_frames(run.place(arm.score))
    clips = postprocessed(
        ((row.source_id, frames.read(row.key)) for row in rows),
        frames.spec.hop_s,
        {row.source_id: events_of(row.events) for row in rows},
        {row.source_id: row.duration_s for row in rows},
        told["classes"],
        postprocess,
    )
    detections = {
        clip: decode_at(clips.scores[clip], clips.classes, clips.edges_s(clip), clips.threshold)
        for clip in clips.clips
    }
    return Scored(
        arm=arm, run=run, rows=rows, clips=clips, detections=detections, postprocess=postprocess
    )


def measured(output: Scored, draws: int, seed: int = 0) -> Numbers:
    """All metrics of an output; equal seeds draw equal clips, so that differences are paired.

    Args:
        output: with an event of any class.
        draws: resamples of the clips.
        seed: of the resamples.
    """
    clips = output.clips
    psds = {"psds1": psds_counts(clips, PSDS1), "psds2": psds_counts(clips, PSDS2)}
    events = event_counts(output.detections, clips.ground_truth, clips.classes)
    results: dict[str, Result] = {
        **{name: counts.result for name, counts in psds.items()},
        "event_f1": events.result,
        "frame_ap": frame_table(clips).result,
        "clip_ap": clip_table(clips).result,
    }
    weights = _resamples(clips, draws, seed)
    return Numbers(
        metrics={name: _of_resamples(result, weights) for name, result in results.items()},
        curves={name: counts.result() for name, counts in psds.items()},
    )


def interval(value: float, draws: FloatArray) -> Range:
    """A value with its percentile interval; resamples without a value are left out."""
    low, high = _bounds(draws)
    return Range(value=value, low=low, high=high)


def difference(first: tuple[float, FloatArray], second: tuple[float, FloatArray]) -> Difference:
    """How much better the first is: value and draws of both, of the same resamples."""
    draws = first[1] - second[1]
    defined = draws[~np.isnan(draws)]
    low, high = _bounds(draws)
    below = float((defined < 0).mean()) if len(defined) else float("nan")
    return Difference(value=first[0] - second[0], low=low, high=high, below=below)


def _bounds(draws: FloatArray) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _resamples(clips: EvaluationSet, draws: int, seed: int) -> FloatArray:
    """How often each clip counts, ``(1 + draws, clips)``: once each first, then as drawn.

    A draw without any event is drawn again: no metric is defined on it.
    """
    count = len(clips.clips)
    has_event = np.array([bool(clips.ground_truth[clip]) for clip in clips.clips])
    rng, found = np.random.default_rng(seed), [np.ones(count)]
    while len(found) <= draws:
        weights = rng.multinomial(count, np.full(count, 1 / count)).astype(np.float64)
        if weights @ has_event > 0:
            found.append(weights)
    return np.array(found)


def _of_resamples(result: Result, weights: FloatArray) -> Measured:
    found = [result(row) for row in weights]
    return Measured(
        value=float(found[0].value),
        per_class={name: float(value) for name, value in found[0].per_class.items()},
        draws=np.array([float(one.value) for one in found[1:]]),
        class_draws=np.array([list(one.per_class.values()) for one in found[1:]], np.float64),
    )
