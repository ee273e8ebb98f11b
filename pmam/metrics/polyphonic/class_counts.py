"""The counts of one class as functions of the falling threshold, per clip."""

from dataclasses import dataclass

import numpy as np

from pmam.events.event import FloatArray
from pmam.metrics.polyphonic.intersections import (
    GroundTruth,
    Slots,
    cross_triggers,
    found_events,
    valid_detections,
)
from pmam.metrics.polyphonic.psds_settings import PSDSSettings
from pmam.metrics.polyphonic.segments import Floats, IntArray, Segments, running_count


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Steps of a class's counts, on a common ladder of falling thresholds.

    A count at level ``k`` is the sum of all steps at levels up to ``k``. The steps of false
    positives hold all appearances and then, in the same order, all disappearances; a segment that
    never disappears has its second step at level ``levels``, beyond the ladder.

    Args:
        thresholds: ``(levels,)`` falling; operating point ``k`` detects scores of at least this.
        found_level, found_step, found_clip: events that become found (+1) or unfound (-1).
        false_level, false_step, false_clip: false positives that appear (+1) or disappear (-1).
        cross_segment, cross_label: false positive ``i`` cross-triggers a class.
    """

    thresholds: Floats
    found_level: IntArray
    found_step: FloatArray
    found_clip: IntArray
    false_level: IntArray
    false_step: FloatArray
    false_clip: IntArray
    cross_segment: IntArray
    cross_label: IntArray

    def true_positives(self, clip_weights: FloatArray) -> FloatArray:
        """Found events at each level, ``(levels,)``."""
        return running_count(
            self.found_level, self.found_step * clip_weights[self.found_clip], len(self.thresholds)
        )

    def false_positives(self, clip_weights: FloatArray) -> FloatArray:
        """False positives at each level, ``(levels,)``."""
        return running_count(
            self.false_level, self.false_step * clip_weights[self.false_clip], len(self.thresholds)
        )

    def cross_trigger_rate(self, clip_weights: FloatArray, event_hours: FloatArray) -> FloatArray:
        """Cross triggers per hour of the triggered class's events, summed over classes.

        Args:
            clip_weights: ``(clips,)``.
            event_hours: ``(classes,)`` how long the events of each class are in all.
        """
        per_hour = np.divide(
            1.0, event_hours, out=np.zeros_like(event_hours), where=event_hours > 0
        )
        segments = len(self.false_clip) // 2
        rate = np.bincount(self.cross_segment, per_hour[self.cross_label], minlength=segments)
        step = np.tile(rate, 2) * self.false_step * clip_weights[self.false_clip]
        # Sums of fractions do not cancel exactly: what is left of nothing must not be negative.
        return np.maximum(running_count(self.false_level, step, len(self.thresholds)), 0.0)


def count_class(
    segments: Segments,
    label: int,
    slots: Slots,
    truth: GroundTruth,
    criteria: PSDSSettings,
) -> ClassCounts:
    """Apply the three criteria to every segment of one class.

    Args:
        segments: its detections.
        label: index of the class.
        slots: layout of the clips.
        truth: ground truth of all classes.
        criteria: their thresholds; without a weight of cross triggers these are not counted.
    """
    valid = valid_detections(segments, label, slots, truth, criteria.dtc)
    found = found_events(segments.take(valid), label, slots, truth, criteria.gtc)
    cttc = criteria.cttc if criteria.alpha_ct > 0 else None
    false = segments.take(~valid)
    nothing = np.zeros(0, dtype=np.int64)
    cross_segment, cross_label = (
        (nothing, nothing) if cttc is None else cross_triggers(false, label, slots, truth, cttc)
    )
    at = np.concatenate([found.at, false.appears, false.disappears])
    rising, level = np.unique(-at, return_inverse=True)
    false_clip = slots.clip[false.first]
    false_step = np.ones(len(false_clip))
    return ClassCounts(
        thresholds=-rising[rising < np.inf],
        found_level=level[: len(found.at)],
        found_step=found.step,
        found_clip=found.clip,
        false_level=level[len(found.at) :],
        false_step=np.concatenate([false_step, -false_step]),
        false_clip=np.tile(false_clip, 2),
        cross_segment=cross_segment,
        cross_label=cross_label,
    )
