"""Metrics by family: what is counted once, and gives several numbers, each over all resamples.

To add one, write a function here or in a file of its own, and one line in `FAMILIES`. Each takes
what was evaluated, the settings and weights of the clips, and returns its numbers for all weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from pmam.events.event import FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import CountTable
from pmam.metrics.events.detection_set import Detections, DetectionSet, detected
from pmam.metrics.events.event_f1 import Collars, event_counts
from pmam.metrics.events.intersection_f1 import intersection_counts
from pmam.metrics.events.segment_based import segment_counts, segment_table
from pmam.metrics.intervals import Resampled, with_each_once
from pmam.metrics.polyphonic.psds import (
    PSDS1,
    PSDS2,
    PSDSSettings,
    event_psds_counts,
    psds_counts_of,
    values_of,
)
from pmam.metrics.ranking.areas import frame_numbers, table_numbers
from pmam.metrics.ranking.average_precision import clip_table
from pmam.metrics.results import Numbers
from pmam.metrics.settings import MetricSettings


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One system's output beside the truth.

    Args:
        scores: its frame scores, where it gives any.
        filtered: its frame scores after each of ``MetricSettings.filters_s``.
        events: its detections at its operating points, where it gives no scores.
    """

    scores: EvaluationSet | None = None
    filtered: Sequence[EvaluationSet] = ()
    events: DetectionSet | None = None

    def __post_init__(self) -> None:
        if (self.scores is None) == (self.events is None):
            raise ValueError("Evaluated: expected scores or events, one of the two")

    @cached_property
    def detections(self) -> DetectionSet:
        """At the operating points, or at the thresholds of the scores; made when asked for.

        Of many clips and classes they are millions.
        """
        if self.events is not None:
            return self.events
        assert self.scores is not None
        return detected(self.scores)


# Takes weights `(draws, clips)`, how often each clip counts in each draw.
Family = Callable[[Evaluated, MetricSettings, FloatArray], Numbers]


def all_psds(settings: MetricSettings) -> dict[str, PSDSSettings]:
    """PSDS1, PSDS2, and `psds` where its parameters are given."""
    if settings.psds_dtc is None:
        return {"psds1": PSDS1, "psds2": PSDS2}
    own = PSDSSettings(
        dtc=settings.psds_dtc,
        gtc=settings.psds_dtc if settings.psds_gtc is None else settings.psds_gtc,
        cttc=settings.psds_cttc,
        alpha_ct=settings.psds_alpha_ct,
        alpha_st=settings.psds_alpha_st,
        e_max=settings.psds_e_max,
    )
    return {"psds1": PSDS1, "psds2": PSDS2, "psds": own}


def psds_family(evaluated: Evaluated, settings: MetricSettings, weights: FloatArray) -> Numbers:
    """PSDS of frame scores at all thresholds, or of the operating points; pi-PSDS over filters."""
    wanted = all_psds(settings)
    if evaluated.scores is None:
        counts = {n: [event_psds_counts(evaluated.detections, s)] for n, s in wanted.items()}
    else:
        of_scores = psds_counts_of(evaluated.scores, list(wanted.values()), weights)
        counts = {name: [each] for name, each in zip(wanted, of_scores, strict=True)}
    for filtered in evaluated.filtered:
        of_scores = psds_counts_of(filtered, list(wanted.values()), weights)
        for name, each in zip(wanted, of_scores, strict=True):
            counts.setdefault(f"pi_{name}", []).append(each)
    return {name: values_of(each, weights) for name, each in counts.items()}


def _counted(
    name: str, count: Callable[[DetectionSet, Detections, MetricSettings], CountTable]
) -> Family:
    """Numbers of counts at each operating point; the points' names go behind the metric's."""

    def family(evaluated: Evaluated, settings: MetricSettings, weights: FloatArray) -> Numbers:
        points = evaluated.detections.points
        found: Numbers = {}
        for point, each in points.items():
            table = count(evaluated.detections, each, settings)
            behind = f"@{point}" if len(points) > 1 else ""
            for metric, values in table.numbers(weights).items():
                found[f"{name}_{metric}{behind}"] = values
        return found

    return family


def _event_counts(clips: DetectionSet, point: Detections, settings: MetricSettings) -> CountTable:
    collars = Collars(
        onset_s=settings.onset_collar_s,
        offset_s=settings.offset_collar_s,
        offset_part=settings.offset_collar_part,
    )
    return event_counts(point, clips.ground_truth, clips.classes, collars)


def _clip_counts(clips: DetectionSet, point: Detections, settings: MetricSettings) -> CountTable:
    """Clips in which a class is rightly, falsely or not detected."""
    column = {name: label for label, name in enumerate(clips.classes)}

    def tags(events: Detections) -> np.ndarray:
        found = np.zeros((len(clips.clips), len(column)), dtype=bool)
        for row, clip in enumerate(clips.clips):
            found[row, [column[event.label] for event in events[clip]]] = True
        return found

    true, said = tags(clips.ground_truth), tags(point)
    tp, fp, fn = ((x).astype(np.float64) for x in (true & said, said & ~true, true & ~said))
    swapped = np.minimum(fp.sum(axis=1), fn.sum(axis=1))
    return CountTable(classes=clips.classes, tp=tp, fp=fp, fn=fn, substitutions=swapped)


def _ranked(
    name: str, evaluated: Evaluated, settings: MetricSettings, weights: FloatArray
) -> Numbers:
    """AP, AUC and d' of frames or clips, and partial AUC of segments; none of mere events."""
    clips = evaluated.scores
    if clips is None:
        return {}
    if name == "frame":
        found = frame_numbers(clips, weights)
    elif name == "segment":
        table = segment_table(clips, settings.segment_s)
        found = table_numbers(table, weights, settings.max_fpr)
    else:
        found = table_numbers(clip_table(clips), weights)
    return {f"{name}_{metric}": values for metric, values in found.items()}


def _segment_counts(clips: DetectionSet, point: Detections, settings: MetricSettings) -> CountTable:
    return segment_counts(clips, point, settings.segment_s)


def _intersection_counts(
    clips: DetectionSet, point: Detections, settings: MetricSettings
) -> CountTable:
    return intersection_counts(clips, point, settings.intersection_dtc, settings.intersection_gtc)


FAMILIES: Mapping[str, Family] = {
    "psds": psds_family,
    "event": _counted("event", _event_counts),
    "segment": _counted("segment", _segment_counts),
    "intersection": _counted("intersection", _intersection_counts),
    "clip": _counted("clip", _clip_counts),
    "frame_ranking": partial(_ranked, "frame"),
    "segment_ranking": partial(_ranked, "segment"),
    "clip_ranking": partial(_ranked, "clip"),
}


def resampled(
    evaluated: Evaluated,
    families: Sequence[str],
    settings: MetricSettings,
    draws: FloatArray,
    tell: Callable[[str], None] = lambda family: None,
) -> Resampled:
    """All numbers of some families, or of all, of one system.

    Args:
        evaluated: the system's output.
        families: names; none means all.
        settings: tolerances and limits.
        draws: ``(draws, clips)`` resamples of the clips.
        tell: called after each family with its name.
    """
    weights = with_each_once(draws)
    found: Numbers = {}
    for name in families or FAMILIES:
        found |= FAMILIES[name](evaluated, settings, weights)
        tell(name)
    return Resampled.of(found)
