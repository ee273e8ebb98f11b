"""Intersection-based F1, the number that DCASE 2021 to 2023 report beside PSDS.

The criteria are those of PSDS (arXiv 1910.08440) at a single operating point: a detection that
meets the detection tolerance criterion is right, else false; an event that right detections cover
by the ground-truth intersection criterion is found.
"""

import numpy as np

from pmam.metrics.events.count_table import CountTable
from pmam.metrics.events.detection_set import Detections, DetectionSet, EventSegments
from pmam.metrics.polyphonic.intersections import found_events, valid_detections


def intersection_counts(
    clips: DetectionSet, point: Detections, dtc: float, gtc: float
) -> CountTable:
    """Found events, false detections and missed events at one operating point.

    Args:
        clips: truth and lengths.
        point: the detections.
        dtc, gtc: parts of a detection and of an event, as of `PSDSSettings`.
    """
    of_point = EventSegments.of(
        DetectionSet(
            points={"": point},
            ground_truth=clips.ground_truth,
            durations_s=clips.durations_s,
            classes=clips.classes,
        )
    )
    slots, truth = of_point.slots, of_point.truth
    tp, fp, events = (np.zeros((len(clips.clips), len(clips.classes))) for _ in range(3))
    np.add.at(events, (truth.clip, truth.label), 1)
    for label, segments in enumerate(of_point.segments):
        valid = valid_detections(segments, label, slots, truth, dtc)
        np.add.at(fp[:, label], slots.clip[segments.first[~valid]], 1)
        found = found_events(segments.take(valid), label, slots, truth, gtc)
        np.add.at(tp[:, label], found.clip, found.step)
    return CountTable(classes=clips.classes, tp=tp, fp=fp, fn=events - tp)
