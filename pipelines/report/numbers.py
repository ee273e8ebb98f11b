"""What detectors are worth on test clips: the numbers of `evaluate`, made in the same way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipelines.report.contents import Arm, RunContents
from pipelines.runtime.files.urls import open_dataset
from pipelines.stages.evaluate.read_output import read_output
from pipelines.stages.evaluate.sets import beside
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.evaluate.truth import Truth, read_truths
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.families import Evaluated, resampled
from pmam.metrics.intervals import Interval, Resampled
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, PSDSResult, psds
from shards.index import IndexRow

# Those that hold what the page shows.
FAMILIES = ("psds", "event", "frame_ranking", "clip_ranking")


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A detector's scores of the clips of one subset, beside the truth."""

    arm: Arm
    run: RunContents
    rows: list[IndexRow]  # in the order of `clips.clips`
    truth: Truth
    evaluated: Evaluated

    @property
    def clips(self) -> EvaluationSet:
        """Scores and truth."""
        assert self.evaluated.scores is not None  # `pmam score` writes frame scores
        return self.evaluated.scores

    @property
    def detections(self) -> Mapping[str, Sequence[Event]]:
        """The events that the detector's thresholds make of them."""
        return self.evaluated.detections.points[""]

    @property
    def identity(self) -> tuple[str, ...]:
        """What two outputs must share to be compared clip by clip."""
        return tuple(self.clips.clips)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """All metrics of one output, and the operating curves of PSDS1 and PSDS2, by name."""

    metrics: Resampled
    curves: Mapping[str, PSDSResult]
    level: float  # part of the resamples that an interval holds

    def interval(self, metric: str, of: str = "macro") -> Interval:
        """A number of all classes, or of one, with its interval."""
        return self.metrics.interval(metric, of, self.level)

    def minus(self, other: "Numbers", metric: str, of: str = "macro") -> Interval:
        """How much higher it is than that of another output, over the same resamples."""
        return self.metrics.difference(other.metrics, metric, of, self.level)


def scored(run: RunContents, arm: Arm, subset: str) -> Scored | None:
    """The scores of a subset as `evaluate` counts them; None where no clip has strong labels."""
    assert run.dataset is not None
    rows = {row.source_id: row for row in open_dataset(run.dataset).select([subset])}
    if all(row.events is None for row in rows.values()):
        return None
    settings = replace(run.settings.evaluate, subsets=(subset,))
    (truth,) = read_truths(run.dataset, settings)
    output = read_output(run.place(arm.score))
    together = beside(truth, [output], settings)
    return Scored(
        arm=arm,
        run=run,
        rows=[rows[clip] for clip in together.truth.events],
        truth=together.truth,
        evaluated=together.systems[output.name],
    )


def measured(output: Scored, settings: EvaluateSettings) -> Numbers:
    """All metrics of an output; equal settings draw equal clips, so that differences are paired.

    Args:
        output: with an event of any class.
        settings: resamples, level of the intervals, and the metrics' tolerances.
    """
    draws = output.truth.draws(settings)
    return Numbers(
        metrics=resampled(output.evaluated, FAMILIES, settings.metric, draws),
        curves={
            "psds1": psds(output.clips, PSDS1),
            "psds2": psds(output.clips, PSDS2),
        },
        level=settings.level,
    )
