"""The threshold of each class with the highest event-based F1, found among all scores at once.

For use on validation clips: a threshold chosen on the clips that it is then judged on is too good.
"""

import numpy as np

from pmam.events.event import FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import f1_score
from pmam.metrics.events.event_f1 import Collars, matched, within_collars
from pmam.metrics.polyphonic.intersections import Slots, score_rows
from pmam.metrics.polyphonic.segments import (
    Floats,
    IntArray,
    Segments,
    detected_segments,
    ranges,
    running_count,
)


def best_thresholds(clips: EvaluationSet, collars: Collars | None = None) -> dict[str, float]:
    """Per class the threshold (for ``score > threshold``) that maximises its event-based F1.

    It lies half-way between two neighbouring scores at which a count changes. Of several best ones
    the highest is taken; where no threshold finds any event it is infinite: detect nothing.
    """
    collars = Collars() if collars is None else collars
    slots = Slots.of([clips.edges_s(clip) for clip in clips.clips])
    return {
        clips.classes[label]: _best_threshold(clips, label, scores, slots, collars)
        for label, scores in score_rows(clips, slots)
    }


def _best_threshold(
    clips: EvaluationSet, label: int, scores: Floats, slots: Slots, collars: Collars
) -> float:
    segments = detected_segments(scores.astype(np.float64))
    events, clip, event, segment = _fitting_pairs(clips, label, slots, segments, collars)
    at, step = true_positive_steps(segments, clip, event, segment)
    appear = np.ones(len(segments.first))
    rising, level = np.unique(
        -np.concatenate([at, segments.appears, segments.disappears]), return_inverse=True
    )
    limits = -rising[rising < np.inf]
    tp = running_count(level[: len(at)], step, len(limits))
    detected = running_count(level[len(at) :], np.concatenate([appear, -appear]), len(limits))
    if not tp.any():
        return float("inf")
    best = int(np.argmax(f1_score(tp, detected - tp, events - tp)))
    if best + 1 == len(limits):  # nothing changes below: any lower threshold does
        return float(np.nextafter(limits[best], -np.inf))
    return float((limits[best] + limits[best + 1]) / 2)


def _fitting_pairs(
    clips: EvaluationSet, label: int, slots: Slots, segments: Segments, collars: Collars
) -> tuple[int, IntArray, IntArray, IntArray]:
    """The number of events, and clip, event and segment of each pair that fits the collars."""
    name = clips.classes[label]
    events = [
        (index, event.onset_s, event.offset_s)
        for index, key in enumerate(clips.clips)
        for event in clips.events_of(key, name)
    ]
    table = np.array(events, dtype=np.float64).reshape(-1, 3)
    clip: IntArray = table[:, 0].astype(np.int64)
    segment_clip = slots.clip[segments.first]
    event, segment = ranges(
        np.searchsorted(segment_clip, clip, side="left"),
        np.searchsorted(segment_clip, clip, side="right"),
    )
    detection_s = slots.edges_s[segments.first[segment]], slots.edges_s[segments.end[segment]]
    fits = within_collars(detection_s, (table[event, 1], table[event, 2]), collars)
    return len(events), clip[event[fits]], event[fits], segment[fits]


def true_positive_steps(
    segments: Segments, clip: IntArray, event: IntArray, segment: IntArray
) -> tuple[FloatArray, FloatArray]:
    """How the number of matched events changes as the threshold falls.

    Args:
        segments: of one class.
        clip, event, segment: ``(pairs,)`` the pairs that fit the collars, sorted by clip.

    Returns:
        Thresholds and steps, ``(changes,)`` each.
    """
    changes = []
    for pairs in np.split(np.arange(len(clip)), np.flatnonzero(np.diff(clip)) + 1):
        changes.extend(_clip_steps(segments, event[pairs], segment[pairs]))
    table = np.array(changes, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _clip_steps(segments: Segments, event: IntArray, segment: IntArray) -> list[tuple[float, int]]:
    appears, disappears = segments.appears[segment], segments.disappears[segment]
    rows = np.unique(segment, return_inverse=True)[1]
    columns = np.unique(event, return_inverse=True)[1]
    falling = -np.unique(-np.concatenate([appears, disappears]))
    steps, before = [], 0
    for threshold in falling[falling > -np.inf]:
        alive = (disappears < threshold) & (threshold <= appears)
        fits = np.zeros((len(segment), len(event)), dtype=bool)
        fits[rows[alive], columns[alive]] = True
        now = matched(fits)
        steps.append((float(threshold), now - before))
        before = now
    return steps
