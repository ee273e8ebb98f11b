"""Segment-based numbers: whether a class is active in each segment of, say, one second.

Definition: Mesaros et al., "Metrics for polyphonic sound event detection", Applied Sciences 6
(162), 2016, section 3.1. A segment is active where any of it lies in an event; the last one of a
clip may be shorter. Borders compare whole microseconds.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event, FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import CountTable
from pmam.metrics.events.detection_set import Detections, DetectionSet
from pmam.metrics.polyphonic.intersections import whole_us
from pmam.metrics.ranking.average_precision import RankingTable

Booleans = npt.NDArray[np.bool_]


def segment_edges_s(duration_s: float, segment_s: float) -> FloatArray:
    """The edges ``(segments + 1,)`` of a clip's segments; the last one may reach past its end."""
    duration_us, segment_us = whole_us(np.array([duration_s, segment_s]))
    count = max(int(np.ceil(duration_us / segment_us)), 1)
    return np.arange(count + 1, dtype=np.float64) * segment_s


def active_segments(
    events: Iterable[Event], classes: dict[str, int], edges_s: FloatArray
) -> Booleans:
    """Which segments ``(segments, classes)`` any of an event lies in."""
    active = np.zeros((len(edges_s) - 1, len(classes)), dtype=bool)
    edges_us = whole_us(edges_s)
    for event in events:
        onset_us, offset_us = whole_us(np.array([event.onset_s, event.offset_s]))
        active[(edges_us[:-1] < offset_us) & (edges_us[1:] > onset_us), classes[event.label]] = True
    return active


def segment_counts(clips: DetectionSet, point: Detections, segment_s: float) -> CountTable:
    """Segments that are rightly, falsely or not detected, at one operating point.

    In each segment, as many of its misses as have a false positive beside them are substitutions.
    """
    classes = {name: label for label, name in enumerate(clips.classes)}
    tp, fp, fn = (np.zeros((len(clips.clips), len(classes))) for _ in range(3))
    swapped = np.zeros(len(clips.clips))
    for row, clip in enumerate(clips.clips):
        edges_s = segment_edges_s(clips.durations_s[clip], segment_s)
        true = active_segments(clips.ground_truth[clip], classes, edges_s)
        said = active_segments(point[clip], classes, edges_s)
        tp[row], fp[row], fn[row] = (
            x.sum(axis=0) for x in (true & said, said & ~true, true & ~said)
        )
        swapped[row] = np.minimum((said & ~true).sum(axis=1), (true & ~said).sum(axis=1)).sum()
    return CountTable(classes=clips.classes, tp=tp, fp=fp, fn=fn, substitutions=swapped)


def segment_table(clips: EvaluationSet, segment_s: float) -> RankingTable:
    """All segments, each with the highest score of the frames that any of it lies in.

    A segment behind the last frame has none: -inf.
    """
    classes = {name: label for label, name in enumerate(clips.classes)}
    all_edges_s = [segment_edges_s(clips.durations_s[clip], segment_s) for clip in clips.clips]
    owner = np.repeat(np.arange(len(all_edges_s)), [len(edges_s) - 1 for edges_s in all_edges_s])
    scores = np.empty((len(owner), len(classes)), clips.dtype)
    targets = np.empty(scores.shape, dtype=bool)
    begin = 0
    for clip, edges_s in zip(clips.clips, all_edges_s, strict=True):
        frames_us = whole_us(clips.edges_s(clip))
        frames = np.pad(clips.scores[clip], ((0, 1), (0, 0)), constant_values=-np.inf)
        last = len(frames) - 1
        edges_us = whole_us(edges_s)
        first = np.searchsorted(frames_us, edges_us[:-1], side="right") - 1
        end = np.searchsorted(frames_us, edges_us[1:], side="left")
        first, end = first.clip(0, last), end.clip(0, last)
        highest = np.maximum.reduceat(frames, np.stack([first, end], axis=1).ravel())[::2]
        highest[end <= first] = -np.inf
        rows = slice(begin, begin := begin + len(highest))
        scores[rows] = highest
        targets[rows] = active_segments(clips.ground_truth[clip], classes, edges_s)
    return RankingTable(scores=scores, targets=targets, clip=owner, classes=clips.classes)
