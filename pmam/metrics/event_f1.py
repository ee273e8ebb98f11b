"""Event-based F1 with collars: a detection must begin and end where the event does.

Definition: Mesaros et al., "Metrics for polyphonic sound event detection", Applied Sciences 6
(162), 2016, section 3.2; the defaults are those of DCASE task 4. Detections and events of one class
in one clip are matched one to one, with as many pairs as possible. Distances compare whole
microseconds, so that an onset exactly on the collar does not depend on rounding errors.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from pmam.errors import InputError
from pmam.events.decoding import decode_at
from pmam.events.event import Event, FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.intersections import whole_us
from pmam.metrics.results import ClassMean


@dataclass(frozen=True, kw_only=True)
class Collars:
    """How far a detection may be off.

    Args:
        onset_s: allowed distance of the onsets in seconds.
        offset_s: allowed distance of the offsets in seconds, at least.
        offset_part: allowed distance of the offsets as a part of the event's length, at least.
    """

    onset_s: float = 0.2
    offset_s: float = 0.2
    offset_part: float = 0.2

    def __post_init__(self) -> None:
        for name, collar in vars(self).items():
            if not 0 <= collar < np.inf:
                raise InputError(f"{name}={collar}: expected a finite collar of 0 or more")


def within_collars(
    detection_s: tuple[FloatArray, FloatArray],
    event_s: tuple[FloatArray, FloatArray],
    collars: Collars,
) -> npt.NDArray[np.bool_]:
    """Whether detections fit events; (onsets, offsets) of both, in shapes that broadcast."""
    offset_collar_s = np.maximum(collars.offset_s, collars.offset_part * (event_s[1] - event_s[0]))
    onset_fits = whole_us(np.abs(detection_s[0] - event_s[0]) - collars.onset_s) <= 0
    offset_fits = whole_us(np.abs(detection_s[1] - event_s[1]) - offset_collar_s) <= 0
    return np.asarray(onset_fits & offset_fits)


def matched(fits: npt.NDArray[np.bool_]) -> int:
    """The largest number of one-to-one pairs, from ``fits (detections, events)``."""
    if (fits.sum(axis=0) <= 1).all() and (fits.sum(axis=1) <= 1).all():
        return int(fits.sum())
    return int((maximum_bipartite_matching(csr_matrix(fits)) >= 0).sum())


def f1_score(tp: FloatArray | float, fp: FloatArray | float, fn: FloatArray | float) -> FloatArray:
    """F1 from counts; 0 where there is neither a detection nor an event."""
    return np.asarray(2 * tp / np.maximum(2 * tp + fp + fn, 1))


@dataclass(frozen=True, kw_only=True)
class EventF1Result:
    """Event-based F1.

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
class EventCounts:
    """Counts ``(clips, classes)`` of true positives, false positives and misses."""

    classes: Sequence[str]
    tp: FloatArray
    fp: FloatArray
    fn: FloatArray

    def result(self, clip_weights: FloatArray | None = None) -> EventF1Result:
        """The F1 of the clips, each counted ``clip_weights`` times (once by default).

        Raises:
            InputError: when the clips hold no event of any class.
        """
        weights = np.ones(len(self.tp)) if clip_weights is None else clip_weights
        tp, fp, fn = weights @ self.tp, weights @ self.fp, weights @ self.fn
        has_events = tp + fn > 0
        f1 = np.where(has_events, f1_score(tp, fp, fn), np.nan)
        precision = np.where(tp + fp > 0, tp / np.maximum(tp + fp, 1), 1.0)
        recall = np.where(has_events, tp / np.maximum(tp + fn, 1), np.nan)
        macro = ClassMean.of(self._named(f1))
        return EventF1Result(
            value=macro.value,
            per_class=macro.per_class,
            precision=self._named(precision),
            recall=self._named(recall),
            micro_f1=float(f1_score(tp.sum(), fp.sum(), fn.sum())),
            tp=self._named(tp),
            fp=self._named(fp),
            fn=self._named(fn),
        )

    def _named(self, values: FloatArray) -> dict[str, float]:
        return dict(zip(self.classes, values.tolist(), strict=True))


def event_counts(
    detections: Mapping[str, Sequence[Event]],
    ground_truth: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    collars: Collars | None = None,
) -> EventCounts:
    """Match detections to events in each clip, in the order of ``ground_truth``.

    Raises:
        InputError: when the two do not hold the same clips, or a label is not in ``classes``.
    """
    collars = Collars() if collars is None else collars
    if odd := sorted(detections.keys() ^ ground_truth.keys()):
        where = "detections" if odd[0] in detections else "ground truth"
        raise InputError(
            f"clip {odd[0]!r} is in the {where} alone ({len(odd)} such clips): "
            f"give every clip a list in both, an empty one where nothing is"
        )
    tp, fp, fn = (np.zeros((len(ground_truth), len(classes))) for _ in range(3))
    for row, (clip, events) in enumerate(ground_truth.items()):
        found, wanted = by_label(clip, detections[clip], classes), by_label(clip, events, classes)
        for column, label in enumerate(classes):
            detection_s, event_s = found.get(label, _NONE), wanted.get(label, _NONE)
            fits = within_collars(
                (detection_s[0][:, None], detection_s[1][:, None]), event_s, collars
            )
            tp[row, column] = matched(fits)
            fp[row, column] = len(detection_s[0]) - tp[row, column]
            fn[row, column] = len(event_s[0]) - tp[row, column]
    return EventCounts(classes=classes, tp=tp, fp=fp, fn=fn)


_NONE = (np.zeros(0), np.zeros(0))


def by_label(
    clip: str, events: Iterable[Event], classes: Sequence[str]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """A clip's (onsets, offsets) per label that it has."""
    times: dict[str, list[tuple[float, float]]] = {}
    for event in events:
        if event.label not in classes:
            raise InputError(
                f"clip {clip!r}: label {event.label!r} is not one of the classes {list(classes)}"
            )
        times.setdefault(event.label, []).append((event.onset_s, event.offset_s))
    tables = {label: np.array(rows, dtype=np.float64) for label, rows in times.items()}
    return {label: (table[:, 0], table[:, 1]) for label, table in tables.items()}


def event_f1(
    clips: EvaluationSet,
    threshold: float | npt.ArrayLike | None = None,
    collars: Collars | None = None,
) -> EventF1Result:
    """Event-based F1 of the events that frame scores decode to at a threshold (or one per class).

    The threshold is that of the set, unless another is given.

    Raises:
        InputError: when the clips hold no event of any class.
    """
    limits = clips.threshold if threshold is None else threshold
    detections = {
        clip: decode_at(clips.scores[clip], clips.classes, clips.edges_s(clip), limits)
        for clip in clips.clips
    }
    return event_counts(detections, clips.ground_truth, clips.classes, collars).result()
