"""Detected events beside the ground truth, at one or several operating points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError
from pmam.events.decoding import decode_at
from pmam.events.event import Event, FloatArray
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.intersections import GroundTruth, Slots, merged
from pmam.metrics.polyphonic.segments import Segments

Detections = Mapping[str, Sequence[Event]]


@dataclass(frozen=True, kw_only=True)
class DetectionSet:
    """Clips with detected events and ground truth.

    Args:
        points: by operating point and clip its detections.
        ground_truth: per clip its events; a clip without events has an empty list.
        durations_s: per clip its length in seconds.
        classes: those that are evaluated.

    Raises:
        InputError: when the tables do not hold the same clips, or a label is of no class.
    """

    points: Mapping[str, Detections]
    ground_truth: Mapping[str, Sequence[Event]]
    durations_s: Mapping[str, float]
    classes: Sequence[str]

    def __post_init__(self) -> None:
        if not self.points or not self.ground_truth or not self.classes:
            raise InputError("no operating points, clips or classes: expected at least one of each")
        tables = {"durations_s": self.durations_s, **self.points}
        for name, table in tables.items():
            if odd := sorted(table.keys() ^ self.ground_truth.keys()):
                raise InputError(
                    f"{name}: clip {odd[0]!r} is there or in the ground truth alone ({len(odd)} "
                    "such clips): give every clip an entry in both"
                )
        for detections in (self.ground_truth, *self.points.values()):
            for clip, events in detections.items():
                for event in events:
                    if event.label not in self.classes:
                        raise InputError(
                            f"clip {clip!r}: label {event.label!r} is not one of the classes "
                            f"{list(self.classes)}"
                        )

    @property
    def clips(self) -> list[str]:
        """The clips' names, in the ground truth's order."""
        return list(self.ground_truth)


def detected(clips: EvaluationSet) -> DetectionSet:
    """The events of frame scores at the thresholds of their set, as one operating point."""
    return DetectionSet(
        points={
            "": {
                clip: decode_at(
                    clips.scores[clip], clips.classes, clips.edges_s(clip), clips.threshold
                )
                for clip in clips.clips
            }
        },
        ground_truth=clips.ground_truth,
        durations_s=clips.durations_s,
        classes=clips.classes,
    )


@dataclass(frozen=True, kw_only=True)
class EventSegments:
    """Detected events as segments between edges that are no frames'.

    Operating point ``k`` of ``n`` is the threshold ``n - k``: a detection appears there and
    disappears at the next, so that points need not lie in one another. Overlapping detections of
    one class in one clip are united, as events are; those that touch stay apart.
    """

    slots: Slots
    truth: GroundTruth
    segments: list[Segments]  # of each class

    @classmethod
    def of(cls, clips: DetectionSet) -> "EventSegments":
        """All detections of a set."""
        column = {name: label for label, name in enumerate(clips.classes)}
        edges_s = [_edges_s(clips, clip) for clip in clips.clips]
        slots = Slots.of(edges_s)
        rows: list[list[tuple[int, int, int]]] = [[] for _ in clips.classes]
        # By clip first: segments lie in the order of their slots.
        for base, edges, clip in zip(slots.base, edges_s, clips.clips, strict=True):
            for number, detections in enumerate(clips.points.values()):
                times: dict[int, list[tuple[float, float]]] = {}
                for event in detections[clip]:
                    label = column[event.label]
                    times.setdefault(label, []).append((event.onset_s, event.offset_s))
                for label, pairs in times.items():
                    onset_s, offset_s = merged(*np.array(pairs, dtype=np.float64).T)
                    first = base + np.searchsorted(edges, onset_s)
                    end = base + np.searchsorted(edges, offset_s)
                    level = len(clips.points) - number
                    rows[label].extend(
                        (int(a), int(b), level) for a, b in zip(first, end, strict=True)
                    )
        tables = [np.array(each, dtype=np.int64).reshape(-1, 3) for each in rows]
        return cls(
            slots=slots,
            truth=GroundTruth.of(clips, edges_s),
            segments=[
                Segments(
                    first=table[:, 0],
                    end=table[:, 1],
                    appears=table[:, 2].astype(np.float64),
                    disappears=np.where(table[:, 2] > 1, table[:, 2] - 1.0, -np.inf),
                )
                for table in tables
            ],
        )


def _edges_s(clips: DetectionSet, clip: str) -> FloatArray:
    times = {0.0, clips.durations_s[clip]}
    for detections in clips.points.values():
        for event in detections[clip]:
            times |= {event.onset_s, event.offset_s}
    return np.array(sorted(times))
