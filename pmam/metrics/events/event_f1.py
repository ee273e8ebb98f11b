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
from pmam.events.union import united
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import CountResult, CountTable
from pmam.metrics.polyphonic.intersections import whole_us


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


def matched_pairs(fits: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Each detection's event in a largest matching of ``fits (detections, events)``, or -1."""
    if 0 in fits.shape:
        return np.full(len(fits), -1)
    return np.asarray(maximum_bipartite_matching(csr_matrix(fits), perm_type="column"), np.int64)


def event_counts(
    detections: Mapping[str, Sequence[Event]],
    ground_truth: Mapping[str, Sequence[Event]],
    classes: Sequence[str],
    collars: Collars | None = None,
) -> CountTable:
    """Match detections to events in each clip, in the order of ``ground_truth``.

    Overlapping events of one class are one (`pmam.events.union`).

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
    substitutions = np.zeros(len(ground_truth))
    for row, (clip, events) in enumerate(ground_truth.items()):
        found, wanted = (
            by_label(clip, detections[clip], classes),
            by_label(clip, united(events), classes),
        )
        false, missed = [], []
        for column, label in enumerate(classes):
            detection_s, event_s = found.get(label, _NONE), wanted.get(label, _NONE)
            partner = matched_pairs(fitting(detection_s, event_s, collars))
            is_found = np.isin(np.arange(len(event_s[0])), partner)
            tp[row, column] = is_found.sum()
            fp[row, column] = (partner < 0).sum()
            fn[row, column] = (~is_found).sum()
            false.append(np.stack(detection_s)[:, partner < 0])
            missed.append(np.stack(event_s)[:, ~is_found])
        left, gone = np.concatenate(false, axis=1), np.concatenate(missed, axis=1)
        substitutions[row] = matched(fitting((left[0], left[1]), (gone[0], gone[1]), collars))
    return CountTable(classes=classes, tp=tp, fp=fp, fn=fn, substitutions=substitutions)


def fitting(
    detection_s: tuple[FloatArray, FloatArray],
    event_s: tuple[FloatArray, FloatArray],
    collars: Collars,
) -> npt.NDArray[np.bool_]:
    """:func:`within_collars` of each pair, ``(detections, events)``."""
    return within_collars((detection_s[0][:, None], detection_s[1][:, None]), event_s, collars)


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
) -> CountResult:
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
