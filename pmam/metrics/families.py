"""Metrics by family: what is counted once, and gives several numbers, each over all resamples.

To add one, write a function here or in a file of its own, and one line in `FAMILIES`. Each takes
what was evaluated and the settings, and returns `Counted`: a function of weights of the clips.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from pmam.events.event import FloatArray
from pmam.metrics.average_precision import clip_table, frame_table
from pmam.metrics.count_table import CountTable
from pmam.metrics.detection_set import Detections, DetectionSet
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.event_f1 import Collars, event_counts
from pmam.metrics.intersection_f1 import intersection_counts
from pmam.metrics.psds import (
    PSDS1,
    PSDS2,
    PSDSCounts,
    PSDSSettings,
    event_psds_counts,
    psds_counts,
    result_of,
)
from pmam.metrics.ranking import ranking_numbers
from pmam.metrics.results import Counted, Numbers
from pmam.metrics.segment_based import segment_counts, segment_table
from pmam.metrics.settings import MetricSettings


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """One system's output beside the truth.

    Args:
        detections: at the operating points of the system, or at its thresholds.
        scores: its frame scores, where it gives any.
        filtered: its frame scores after each of ``MetricSettings.filters_s``.
    """

    detections: DetectionSet
    scores: EvaluationSet | None = None
    filtered: Sequence[EvaluationSet] = ()


# Weights `(draws, clips)` that will be asked for.
Draws = FloatArray
Family = Callable[[Evaluated, MetricSettings, Draws], Counted]


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


def psds_family(evaluated: Evaluated, settings: MetricSettings, draws: Draws) -> Counted:
    """PSDS of frame scores at all thresholds, or of the operating points; pi-PSDS over filters."""
    counts: dict[str, list[PSDSCounts]] = {}
    draws = np.vstack([np.ones(len(evaluated.detections.clips)), draws])
    for name, one in all_psds(settings).items():
        if evaluated.scores is None:
            counts[name] = [event_psds_counts(evaluated.detections, one)]
        else:
            counts[name] = [psds_counts(evaluated.scores, one, draws)]
        if evaluated.filtered:
            counts[f"pi_{name}"] = [psds_counts(each, one, draws) for each in evaluated.filtered]

    def numbers(clip_weights: FloatArray | None = None) -> Numbers:
        found = {name: result_of(each, clip_weights) for name, each in counts.items()}
        return {name: {"macro": result.value, **result.per_class} for name, result in found.items()}

    return numbers


def _counted(
    name: str, count: Callable[[DetectionSet, Detections, MetricSettings], CountTable]
) -> Family:
    """Numbers of counts at each operating point; the points' names go behind the metric's."""

    def family(evaluated: Evaluated, settings: MetricSettings, draws: Draws) -> Counted:
        points = evaluated.detections.points
        tables = {
            (f"@{point}" if len(points) > 1 else ""): count(evaluated.detections, each, settings)
            for point, each in points.items()
        }

        def numbers(clip_weights: FloatArray | None = None) -> Numbers:
            return {
                f"{name}_{metric}{point}": values
                for point, table in tables.items()
                for metric, values in table.numbers(clip_weights).items()
            }

        return numbers

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


def _no_numbers(clip_weights: FloatArray | None = None) -> Numbers:
    return {}


def _ranked(name: str, evaluated: Evaluated, settings: MetricSettings, draws: Draws) -> Counted:
    """AP, AUC and d' of frames or clips, and partial AUC of segments; none of mere events."""
    clips = evaluated.scores
    if clips is None:
        return _no_numbers
    limit = None
    if name == "segment":
        table, limit = segment_table(clips, settings.segment_s), settings.max_fpr
    else:
        table = frame_table(clips) if name == "frame" else clip_table(clips)

    def numbers(clip_weights: FloatArray | None = None) -> Numbers:
        found = ranking_numbers(table, clip_weights, limit)
        return {f"{name}_{metric}": values for metric, values in found.items()}

    return numbers


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
