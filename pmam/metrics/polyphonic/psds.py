"""Polyphonic sound detection score (PSDS), exact and independent of any grid of thresholds.

Definition: Bilen et al., arXiv 1910.08440. Every distinct score is an operating point: Ebbers et
al., arXiv 2201.13148. Conventions where the definition leaves room:

- The ROC is a staircase: between two operating points the lower true-positive ratio counts.
- Overlapping events of one class in one clip are united into one event before anything is counted
  (psds_eval refuses them). Events that only touch stay apart.
- A class without any event has no ratio: its value is NaN, and it is left out of the mean, of the
  spread across classes and of the cross triggers.
- Events and frames that reach past the end of the clip are not cut; the rate of false positives
  is per ``durations_s``, summed over all clips, with or without events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError
from pmam.events.event import FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import DetectionSet, EventSegments
from pmam.metrics.polyphonic.class_counts import ClassCounts, count_class
from pmam.metrics.polyphonic.intersections import GroundTruth, Slots, score_rows
from pmam.metrics.polyphonic.psds_settings import PSDS1 as PSDS1
from pmam.metrics.polyphonic.psds_settings import PSDS2 as PSDS2
from pmam.metrics.polyphonic.psds_settings import PSDSSettings as PSDSSettings
from pmam.metrics.polyphonic.roc import BLOCK_BYTES, effective_curve, normalised_area, staircase
from pmam.metrics.polyphonic.segments import IntArray, Segments, detected_segments

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class PSDSResult:
    """A PSDS with the curves behind it.

    Args:
        value: the area under the effective ROC up to ``e_max``, over ``e_max``: in [0, 1].
        per_class: the same for each class's own ROC; NaN for a class without events.
        effective_fpr_per_hour: ``(points,)`` from 0 up to at most ``e_max``.
        effective_tpr: ``(points,)`` mean minus ``alpha_st`` standard deviations, not below 0.
        class_curves: of each class that has events, true-positive ratios and effective rates, both
            rising from rate 0 on; between two of them the lower ratio counts.
    """

    value: float
    per_class: dict[str, float]
    effective_fpr_per_hour: FloatArray
    effective_tpr: FloatArray
    class_curves: dict[str, tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, kw_only=True)
class PSDSCounts:
    """The counts behind a PSDS at all thresholds, as steps of clips.

    Counting is the work; a resample of the clips only weighs the counts anew. So a bootstrap
    counts once and asks for :meth:`result` with new weights at each draw.
    """

    settings: PSDSSettings
    classes: Sequence[str]
    truth: GroundTruth
    durations_s: FloatArray
    per_class: list[ClassCounts]

    def result(self, clip_weights: FloatArray | None = None) -> PSDSResult:
        """The PSDS of the clips, or of a resample of them.

        Args:
            clip_weights: ``(clips,)`` how often each clip counts, in the order of
                ``EvaluationSet.clips``; None: each once.

        Raises:
            InputError: when the clips hold no event of any class.
        """
        return result_of([self], clip_weights)

    def points(
        self, clip_weights: FloatArray | None
    ) -> Iterator[tuple[str, tuple[FloatArray, FloatArray]]]:
        """True-positive ratio and effective rate of each class that has events, at each threshold.

        Of one class after the other: those of all would be many.

        Raises:
            InputError: when the clips hold no event of any class.
        """
        weights = np.ones(len(self.durations_s)) if clip_weights is None else clip_weights
        hours = float(self.durations_s @ weights) / SECONDS_PER_HOUR
        truth, classes = self.truth, len(self.classes)
        event_weights = weights[truth.clip]
        events = np.bincount(truth.label, event_weights, minlength=classes)
        event_hours = (
            np.bincount(
                truth.label, event_weights * (truth.offset_s - truth.onset_s), minlength=classes
            )
            / SECONDS_PER_HOUR
        )
        present = np.flatnonzero(events > 0)
        if not len(present):
            raise InputError("the ground truth holds no event of any class: PSDS is undefined")
        for label in present:
            counts = self.per_class[label]
            rate = counts.false_positives(weights) / hours
            if self.settings.alpha_ct > 0 and len(present) > 1:
                cross_rate = counts.cross_trigger_rate(weights, event_hours) / (len(present) - 1)
                rate = rate + self.settings.alpha_ct * cross_rate
            tpr = counts.true_positives(weights) / events[label]
            yield self.classes[label], (tpr, rate)


def result_of(counts: Sequence[PSDSCounts], clip_weights: FloatArray | None = None) -> PSDSResult:
    """The PSDS of all operating points of several counts of the same clips.

    Of several post-processings of the same scores it is the post-processing-independent PSDS: each
    class takes, at each rate, the best of them (arXiv 2306.15440).

    Args:
        counts: of the same clips, classes and settings.
        clip_weights: as of :meth:`PSDSCounts.result`.

    Raises:
        InputError: when the clips hold no event of any class.
    """
    classes, e_max = counts[0].classes, counts[0].settings.e_max
    curves = {
        of_counts[0][0]: staircase(
            np.concatenate([tpr for _, (tpr, _) in of_counts]),
            np.concatenate([rate for _, (_, rate) in of_counts]),
            e_max,
        )
        for of_counts in zip(*(each.points(clip_weights) for each in counts), strict=True)
    }
    grid, effective_tpr = effective_curve(list(curves.values()), counts[0].settings.alpha_st)
    areas = {name: normalised_area(ratio, rate, e_max) for name, (ratio, rate) in curves.items()}
    return PSDSResult(
        value=normalised_area(effective_tpr, grid, e_max),
        per_class={name: areas.get(name, float("nan")) for name in classes},
        effective_fpr_per_hour=grid,
        effective_tpr=effective_tpr,
        class_curves=curves,
    )


def values_of(counts: Sequence[PSDSCounts], weights: FloatArray) -> dict[str, FloatArray]:
    """The PSDS (`macro`) and that of each class for each row of weights, ``(draws,)`` each.

    Args:
        counts: as of :func:`result_of`.
        weights: ``(draws, clips)``. Draws without any event have no PSDS: NaN.
    """
    names = ["macro", *counts[0].classes]
    values = np.full((len(names), len(weights)), np.nan)
    has_event = weights[:, np.unique(counts[0].truth.clip)].any(axis=1)
    for draw in np.flatnonzero(has_event):
        found = result_of(counts, weights[draw])
        values[:, draw] = [found.value, *found.per_class.values()]
    return dict(zip(names, values, strict=True))


def psds_counts(
    clips: EvaluationSet, settings: PSDSSettings, clip_weights: FloatArray | None = None
) -> PSDSCounts:
    """As :func:`psds_counts_of`, for one choice of the criteria."""
    return psds_counts_of(clips, [settings], clip_weights)[0]


def psds_counts_of(
    clips: EvaluationSet, several: Sequence[PSDSSettings], clip_weights: FloatArray | None = None
) -> list[PSDSCounts]:
    """Count true positives, false positives and cross triggers of all classes at all thresholds.

    The scores of a class are held only until they are counted.

    Args:
        clips: scores and truth.
        several: the criteria; counts are made for each of them.
        clip_weights: ``(draws, clips)`` all those that :meth:`PSDSCounts.result` will be asked
            for. Thresholds at which all of them have more false positives than ``e_max`` allows
            are then left out, which are most (:func:`out_of_reach`). None: all are counted.
    """
    edges_s = [clips.edges_s(clip) for clip in clips.clips]
    slots, truth = Slots.of(edges_s), GroundTruth.of(clips, edges_s)
    durations_s = np.array([clips.durations_s[clip] for clip in clips.clips], dtype=np.float64)
    per_class: list[list[ClassCounts]] = [[] for _ in several]
    shortest_frame_s = slots.shortest_frame_s
    for label, scores in score_rows(clips, slots):
        with_event = truth.row_clip[truth.row_label == label]
        silent = np.delete(np.arange(len(durations_s)), with_event)
        highest = np.maximum.reduceat(scores, slots.base)[silent].astype(np.float64)
        made: dict[float, Segments] = {}
        for settings, counts in zip(several, per_class, strict=True):
            floor = -np.inf
            # Detections below half a microsecond count as valid wherever they are.
            if clip_weights is not None and settings.dtc * shortest_frame_s > 1e-6:
                most = clip_weights @ durations_s * (settings.e_max / SECONDS_PER_HOUR)
                floor = out_of_reach(highest, silent, clip_weights, most)
            if floor not in made:
                heard = np.where(scores > floor, scores, scores.dtype.type(-np.inf))
                made[floor] = detected_segments(
                    heard.astype(np.result_type(heard, np.float32), copy=False)
                )
            counts.append(count_class(made[floor], label, slots, truth, settings))
    return [
        PSDSCounts(
            settings=settings,
            classes=clips.classes,
            truth=truth,
            durations_s=durations_s,
            per_class=counts,
        )
        for settings, counts in zip(several, per_class, strict=True)
    ]


def event_psds_counts(clips: DetectionSet, settings: PSDSSettings) -> PSDSCounts:
    """:func:`psds_counts` of detected events: each operating point is one of the curve."""
    found = EventSegments.of(clips)
    return PSDSCounts(
        settings=settings,
        classes=clips.classes,
        truth=found.truth,
        durations_s=np.array([clips.durations_s[clip] for clip in clips.clips], dtype=np.float64),
        per_class=[
            count_class(segments, label, found.slots, found.truth, settings)
            for label, segments in enumerate(found.segments)
        ],
    )


def out_of_reach(
    highest: FloatArray, silent: IntArray, clip_weights: FloatArray, most: FloatArray
) -> float:
    """A score at and below which every resample has too many false positives to be counted.

    A clip without events of the class has a false positive at any threshold up to its highest
    score. So no threshold counts at which more such clips detect something than false positives
    are allowed.

    Args:
        highest: ``(silent,)`` the highest score of each clip without events of the class.
        silent: ``(silent,)`` which clips these are.
        clip_weights: ``(draws, clips)`` how often each counts.
        most: ``(draws,)`` the number of false positives that is allowed.

    Returns:
        -inf where every threshold may count.
    """
    order = np.argsort(-highest, kind="stable")
    clips = silent[order]
    width = max(1, BLOCK_BYTES // (8 * max(1, len(order))))
    last = 0  # of the clips in this order: the one at which all draws have too many
    for begin in range(0, len(most), width):
        false = np.cumsum(clip_weights[begin : begin + width, clips], axis=1)
        too_many = false > most[begin : begin + width, None] * (1 + 1e-9)
        if not len(order) or not too_many[:, -1].all():
            return -np.inf
        last = max(last, int(too_many.argmax(axis=1).max()))
    return float(highest[order[last]])


def psds(clips: EvaluationSet, settings: PSDSSettings) -> PSDSResult:
    """The exact PSDS of frame scores.

    Raises:
        InputError: when the clips hold no event of any class (bad clips are refused earlier, by
            :class:`~pmam.metrics.evaluation_set.EvaluationSet`).
    """
    return psds_counts(clips, settings, np.ones((1, len(clips.clips)))).result()
