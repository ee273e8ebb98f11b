"""Which detections are right, false or cross-triggered, at every threshold (arXiv 1910.08440).

Section 2 of the paper: a detection is valid when enough of it lies in ground truth of its class
(DTC), else it is a false positive; a ground-truth event is found when valid detections cover enough
of it (GTC); a false positive that lies enough in ground truth of another class cross-triggers that
class (CTTC). Here this is counted for all segments of :mod:`pmam.metrics.polyphonic.segments` at
once.

"Enough" compares whole microseconds, as sed_scores_eval does, so that a ratio that is met exactly
does not depend on rounding errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event, FloatArray
from pmam.events.union import merged as merged
from pmam.events.union import whole_us as whole_us
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.segments import Floats, IntArray, Segments, ranges

MOST_BYTES = 2**27  # of scores that are gathered at once


@dataclass(frozen=True, kw_only=True)
class Slots:
    """All clips' frames laid out in one row of slots (see :class:`~.segments.Segments`).

    Args:
        base: ``(clips,)`` each clip's first slot.
        clip: ``(slots,)`` the clip of each slot.
        edges_s: ``(slots,)`` the frame edges.
    """

    base: IntArray
    clip: IntArray
    edges_s: FloatArray

    @classmethod
    def of(cls, edges_s: Sequence[FloatArray]) -> "Slots":
        """The layout of clips whose frames have these edges, ``(frames + 1,)`` each."""
        sizes = np.array([len(edges) for edges in edges_s])
        return cls(
            base=np.cumsum(sizes) - sizes,
            clip=np.repeat(np.arange(len(sizes)), sizes),
            edges_s=np.concatenate(edges_s),
        )

    @property
    def shortest_frame_s(self) -> float:
        """The length of the shortest frame."""
        within = np.diff(self.clip) == 0
        return float(np.diff(self.edges_s)[within].min())


def score_rows(clips: EvaluationSet, slots: Slots) -> Iterator[tuple[int, Floats]]:
    """Each class, by number, with its scores ``(slots,)``, -inf in the slot behind each clip.

    Classes are gathered in groups of at most `MOST_BYTES`, each by one pass over all clips.
    """
    classes = len(clips.classes)
    width = max(1, MOST_BYTES // (len(slots.edges_s) * clips.dtype.itemsize))
    for begin in range(0, classes, width):
        end = min(begin + width, classes)
        rows = np.full((end - begin, len(slots.edges_s)), -np.inf, clips.dtype)
        for base, clip in zip(slots.base, clips.clips, strict=True):
            scores = clips.columns(clip, begin, end)
            rows[:, base : base + len(scores)] = scores.T
        yield from enumerate(rows, start=begin)


class Labelled(Protocol):
    """Clips with events: an `EvaluationSet` or a `DetectionSet`."""

    @property
    def clips(self) -> list[str]:
        """The clips' names."""

    @property
    def classes(self) -> Sequence[str]:
        """The classes' names."""

    @property
    def ground_truth(self) -> Mapping[str, Sequence[Event]]:
        """The events of each clip."""


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """Merged events ``(events,)`` in order of clip and class, and rows of covered time.

    A row is a pair of clip and class that has events. Its ``covered_s`` says, for each edge of
    the clip's frames, how much of the class's ground truth lies before it: a difference of two
    of them is an intersection.

    Args:
        clip, label, onset_s, offset_s: ``(events,)``.
        row_clip, row_label: ``(rows,)``.
        row_start: ``(rows,)`` where a row begins in ``covered_s``.
        covered_s: all rows, one after the other.
    """

    clip: IntArray
    label: IntArray
    onset_s: FloatArray
    offset_s: FloatArray
    row_clip: IntArray
    row_label: IntArray
    row_start: IntArray
    covered_s: FloatArray

    @classmethod
    def of(cls, clips: Labelled, edges_s: Sequence[FloatArray]) -> "GroundTruth":
        """The merged ground truth of an evaluation set, whose clips' frames have these edges."""
        rows, onsets, offsets, covered = [], [], [], []
        column = {name: label for label, name in enumerate(clips.classes)}
        for index, clip in enumerate(clips.clips):
            times_s: dict[int, list[tuple[float, float]]] = {}
            for event in clips.ground_truth[clip]:
                of_label = times_s.setdefault(column[event.label], [])
                of_label.append((event.onset_s, event.offset_s))
            for label in sorted(times_s):
                table_s = np.array(times_s[label], dtype=np.float64)
                onset_s, offset_s = merged(table_s[:, 0], table_s[:, 1])
                knots = np.stack([onset_s, offset_s], axis=1).ravel()
                total = np.cumsum(offset_s - onset_s)
                before = np.concatenate([[0.0], total[:-1]])
                so_far = np.stack([before, total], axis=1).ravel()
                covered.append(np.interp(edges_s[index], knots, so_far))
                rows.append((index, label))
                onsets.append(onset_s)
                offsets.append(offset_s)
        empty = np.zeros(0)
        table = np.array(rows, dtype=np.int64).reshape(-1, 2)
        events_per_row = [len(row) for row in onsets]
        sizes = np.array([len(row) for row in covered], dtype=np.int64)
        return cls(
            clip=np.repeat(table[:, 0], events_per_row),
            label=np.repeat(table[:, 1], events_per_row),
            onset_s=np.concatenate([empty, *onsets]),
            offset_s=np.concatenate([empty, *offsets]),
            row_clip=table[:, 0],
            row_label=table[:, 1],
            row_start=np.cumsum(sizes) - sizes,
            covered_s=np.concatenate([empty, *covered]),
        )


def overlap_s(
    segments: Segments, of: IntArray, rows: IntArray, slots: Slots, truth: GroundTruth
) -> FloatArray:
    """Seconds that segment ``of[i]`` shares with the ground truth of row ``rows[i]``, ``(m,)``."""
    start = truth.row_start[rows] - slots.base[truth.row_clip[rows]]
    before_end_s = truth.covered_s[start + segments.end[of]]
    before_first_s = truth.covered_s[start + segments.first[of]]
    return np.asarray(before_end_s - before_first_s)


def length_s(segments: Segments, slots: Slots) -> FloatArray:
    """The segments' lengths in seconds, ``(segments,)``."""
    return slots.edges_s[segments.end] - slots.edges_s[segments.first]


def valid_detections(
    segments: Segments, label: int, slots: Slots, truth: GroundTruth, dtc: float
) -> npt.NDArray[np.bool_]:
    """Detection tolerance criterion: which segments lie in their class's events by ``dtc``."""
    row_of_clip = np.full(len(slots.base), -1)
    own = np.flatnonzero(truth.row_label == label)
    row_of_clip[truth.row_clip[own]] = own
    row = row_of_clip[slots.clip[segments.first]]
    some = np.flatnonzero(row >= 0)
    shared_s = np.zeros(len(row))
    shared_s[some] = overlap_s(segments, some, row[some], slots, truth)
    return np.asarray(whole_us(shared_s) >= whole_us(dtc * length_s(segments, slots)))


def cross_triggers(
    false: Segments, label: int, slots: Slots, truth: GroundTruth, cttc: float
) -> tuple[IntArray, IntArray]:
    """Cross-trigger tolerance criterion on false positives: pairs (segment, other class)."""
    clip = slots.clip[false.first]
    others = np.flatnonzero(truth.row_label != label)
    of, position = ranges(
        np.searchsorted(truth.row_clip[others], clip, side="left"),
        np.searchsorted(truth.row_clip[others], clip, side="right"),
    )
    rows = others[position]
    shared_s = overlap_s(false, of, rows, slots, truth)
    enough = whole_us(shared_s) >= whole_us(cttc * length_s(false, slots)[of])
    return of[enough], truth.row_label[rows[enough]]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Steps of a count when the threshold falls to ``at``, ``(changes,)`` each."""

    at: FloatArray
    step: FloatArray
    clip: IntArray


def found_events(
    valid: Segments, label: int, slots: Slots, truth: GroundTruth, gtc: float
) -> Changes:
    """Ground-truth intersection criterion: when events of a class become (un)found.

    An event can be lost again as the threshold falls: a valid detection that covers it may grow
    into one that is no longer valid.
    """
    own = np.flatnonzero(truth.label == label)
    onset_s, offset_s, clip = truth.onset_s[own], truth.offset_s[own], truth.clip[own]
    valid_clip = slots.clip[valid.first]
    event, segment = ranges(
        np.searchsorted(valid_clip, clip, side="left"),
        np.searchsorted(valid_clip, clip, side="right"),
    )
    shared_s = np.minimum(slots.edges_s[valid.end[segment]], offset_s[event]) - np.maximum(
        slots.edges_s[valid.first[segment]], onset_s[event]
    )
    event, segment, shared_s = (x[shared_s > 0] for x in (event, segment, shared_s))
    # Covered time rises when a segment appears and falls when it disappears.
    event = np.concatenate([event, event])
    at = np.concatenate([valid.appears[segment], valid.disappears[segment]])
    step_s = np.concatenate([shared_s, -shared_s])
    order = np.lexsort((-at, event))
    event, at, step_s = event[order], at[order], step_s[order]
    covered_s = np.cumsum(step_s)
    of_earlier_events_s = np.append(0.0, covered_s)[np.searchsorted(event, event, side="left")]
    covered_s -= of_earlier_events_s
    # Several changes at one threshold may find an event and lose it again: the steps cancel.
    found = whole_us(covered_s) >= whole_us(gtc * (offset_s - onset_s))[event]
    was_found = np.append(False, found[:-1])[: len(found)]
    was_found &= np.append(False, event[1:] == event[:-1])[: len(found)]
    step = found.astype(np.float64) - was_found
    changed = (step != 0) & (at > -np.inf)
    return Changes(at=at[changed], step=step[changed], clip=clip[event[changed]])
