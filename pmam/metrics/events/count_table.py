"""Right, false and missed answers of each clip and class, and the numbers made of them.

Definitions: Mesaros et al., "Metrics for polyphonic sound event detection", Applied Sciences 6
(162), 2016, sections 3.1 and 3.2. Counting is the work; a resample of the clips weighs the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmam.events.event import FloatArray
from pmam.metrics.results import ClassMean, Numbers

Counts = FloatArray | float


def f1_score(tp: Counts, fp: Counts, fn: Counts) -> FloatArray:
    """F1 from counts; 0 where there is neither a detection nor an event."""
    return np.asarray(2 * tp / np.maximum(2 * tp + fp + fn, 1))


def precision(tp: Counts, fp: Counts) -> FloatArray:
    """Part of the detections that are right; 1 where nothing was detected."""
    return np.asarray(np.where(np.add(tp, fp) > 0, tp / np.maximum(np.add(tp, fp), 1), 1.0))


def recall(tp: Counts, fn: Counts) -> FloatArray:
    """Part of the events that are found; NaN where there is none."""
    return np.asarray(np.where(np.add(tp, fn) > 0, tp / np.maximum(np.add(tp, fn), 1), np.nan))


def rate(errors: Counts, events: Counts) -> FloatArray:
    """Errors of a kind for each event; NaN where there is none."""
    return np.asarray(np.where(np.asarray(events) > 0, errors / np.maximum(events, 1), np.nan))


@dataclass(frozen=True, kw_only=True)
class CountResult:
    """F1 of counts, such as event-based F1.

    A class without events has NaN for F1 and recall and is left out of the macro mean; its false
    positives still count in ``micro_f1``.

    Args:
        value: macro F1, the mean over classes.
        per_class, precision, recall: per class; the precision is 1 where nothing was detected.
        micro_f1: F1 of the counts summed over classes.
        tp, fp, fn: counts per class.
    """

    value: float
    per_class: dict[str, float]
    precision: dict[str, float]
    recall: dict[str, float]
    micro_f1: float
    tp: dict[str, float]
    fp: dict[str, float]
    fn: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class CountTable:
    """Counts ``(clips, classes)`` of true positives, false positives and misses.

    ``substitutions (clips,)`` are pairs of a miss and a false positive of another class at the same
    place; None where there is no such notion.
    """

    classes: Sequence[str]
    tp: FloatArray
    fp: FloatArray
    fn: FloatArray
    substitutions: FloatArray | None = None

    def result(self, clip_weights: FloatArray | None = None) -> CountResult:
        """The F1 of the clips, each counted ``clip_weights`` times (once by default).

        Raises:
            InputError: when the clips hold no event of any class.
        """
        weights = np.ones(len(self.tp)) if clip_weights is None else clip_weights
        tp, fp, fn = weights @ self.tp, weights @ self.fp, weights @ self.fn
        macro = ClassMean.of(self._named(np.where(tp + fn > 0, f1_score(tp, fp, fn), np.nan)))
        return CountResult(
            value=macro.value,
            per_class=macro.per_class,
            precision=self._named(precision(tp, fp)),
            recall=self._named(recall(tp, fn)),
            micro_f1=float(f1_score(tp.sum(), fp.sum(), fn.sum())),
            tp=self._named(tp),
            fp=self._named(fp),
            fn=self._named(fn),
        )

    def numbers(self, weights: FloatArray) -> Numbers:
        """F1, precision, recall and error rates; macro over the classes that have events.

        The micro error rate counts a substitution once, the rates of classes count it in both:
        as a deletion of one and an insertion of the other.

        Args:
            weights: ``(draws, clips)`` how often each clip counts.
        """
        tp, fp, fn = weights @ self.tp, weights @ self.fp, weights @ self.fn
        swapped = np.zeros(len(weights))
        if self.substitutions is not None:
            swapped = weights @ self.substitutions
        events = tp + fn
        all_tp, all_fp, all_fn, all_events = (x.sum(axis=1) for x in (tp, fp, fn, events))
        found = {
            "f1": (
                np.where(events > 0, f1_score(tp, fp, fn), np.nan),
                f1_score(all_tp, all_fp, all_fn),
            ),
            "precision": (
                np.where(events > 0, precision(tp, fp), np.nan),
                precision(all_tp, all_fp),
            ),
            "recall": (recall(tp, fn), recall(all_tp, all_fn)),
            "error_rate": (rate(fp + fn, events), rate(all_fp + all_fn - swapped, all_events)),
            "insertion_rate": (rate(fp, events), rate(all_fp - swapped, all_events)),
            "deletion_rate": (rate(fn, events), rate(all_fn - swapped, all_events)),
        }
        numbers = {
            name: {
                "macro": mean_of_defined(each),
                "micro": micro,
                **dict(zip(self.classes, each.T, strict=True)),
            }
            for name, (each, micro) in found.items()
        }
        if self.substitutions is not None:
            numbers["substitution_rate"] = {"micro": rate(swapped, all_events)}
        return numbers

    def _named(self, values: FloatArray) -> dict[str, float]:
        return dict(zip(self.classes, values.tolist(), strict=True))


def mean_of_defined(values: FloatArray) -> FloatArray:
    """Means ``(draws,)`` over the numbers ``(draws, classes)`` that are not NaN; NaN of none."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(axis=1)
    return rate(total, defined.sum(axis=1))
