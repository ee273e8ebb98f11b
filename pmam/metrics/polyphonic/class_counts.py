"""The counts of one class as functions of the falling threshold, per clip."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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

# In the smallest type that holds them: of many classes and clips these are what memory is full of.
SmallInts = npt.NDArray[np.signedinteger]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """How a count changes as the threshold falls: at a level, in a clip, by so much, ``(steps,)``.

    The count at level ``k`` is the sum of all steps at levels up to ``k``.
    """

    level: SmallInts
    clip: SmallInts
    step: SmallInts

    def count(self, clip_weights: FloatArray, levels: int) -> FloatArray:
        """The count at each level, ``(levels,)``, each clip taken so many times."""
        return running_count(self.level, self.step * clip_weights[self.clip], levels)


@dataclass(frozen=True, kw_only=True)
class ClassCounts:
    """Steps of a class's counts, on a common ladder of falling thresholds.

    What cancels in a clip at one threshold is not kept: a detection that grows is one that
    disappears and another that appears. So what is held grows with the peaks of the scores, not
    with the frames; a threshold at which no count changes is no level.

    Args:
        thresholds: ``(levels,)`` falling; operating point ``k`` detects scores of at least this.
        found: of events that are found.
        false: of false positives.
        crossing: of false positives that cross-trigger another class, and ``crossed`` which class.
    """

    thresholds: Floats
    found: Steps
    false: Steps
    crossing: Steps
    crossed: SmallInts

    def true_positives(self, clip_weights: FloatArray) -> FloatArray:
        """Found events at each level, ``(levels,)``."""
        return self.found.count(clip_weights, len(self.thresholds))

    def false_positives(self, clip_weights: FloatArray) -> FloatArray:
        """False positives at each level, ``(levels,)``."""
        return self.false.count(clip_weights, len(self.thresholds))

    def cross_trigger_rate(self, clip_weights: FloatArray, event_hours: FloatArray) -> FloatArray:
        """Cross triggers per hour of the triggered class's events, summed over classes.

        Args:
            clip_weights: ``(clips,)``.
            event_hours: ``(classes,)`` how long the events of each class are in all.
        """
        per_hour = np.divide(
            1.0, event_hours, out=np.zeros_like(event_hours), where=event_hours > 0
        )
        steps = self.crossing
        step = steps.step * clip_weights[steps.clip] * per_hour[self.crossed]
        # Sums of fractions do not cancel exactly: what is left of nothing must not be negative.
        return np.maximum(running_count(steps.level, step, len(self.thresholds)), 0.0)


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
    thresholds = -rising[rising < np.inf]  # what never disappears has its second step behind them
    of_found, of_false = level[: len(found.at)], level[len(found.at) :].reshape(2, -1)
    clips, classes = len(slots.base), int(truth.label.max(initial=-1)) + 1
    false_at = of_false * clips + slots.clip[false.first]
    crossing_at = false_at[:, cross_segment] * classes + cross_label
    found_key, found_step = net_steps(of_found * clips + found.clip, found.step)
    false_key, false_step = net_steps(*_both_ways(false_at))
    cross_key, cross_step = net_steps(*_both_ways(crossing_at))
    cross_at, crossed = np.divmod(cross_key, max(classes, 1))
    within = [key < len(thresholds) * clips for key in (found_key, false_key, cross_at)]
    keys = [k[w] for k, w in zip((found_key, false_key, cross_at), within, strict=True)]
    steps = [k[w] for k, w in zip((found_step, false_step, cross_step), within, strict=True)]
    used = np.zeros(len(thresholds), dtype=bool)
    for key in keys:
        used[key // clips] = True
    number = np.cumsum(used) - 1
    found_steps, false_steps, crossing = (
        Steps(level=small(number[key // clips]), clip=small(key % clips), step=small(step))
        for key, step in zip(keys, steps, strict=True)
    )
    return ClassCounts(
        thresholds=thresholds[used],
        found=found_steps,
        false=false_steps,
        crossing=crossing,
        crossed=small(crossed[within[2]]),
    )


def small(values: npt.NDArray[np.number]) -> SmallInts:
    """Whole numbers in the smallest signed type that holds them."""
    most = int(np.abs(values).max(initial=0))
    kind = next(k for k in (np.int8, np.int16, np.int32, np.int64) if most <= np.iinfo(k).max)
    return values.astype(kind)


def _both_ways(at: IntArray) -> tuple[IntArray, FloatArray]:
    """Places ``(2, n)`` at which something appears, and disappears, with a step for each."""
    return at.ravel(), np.repeat([1.0, -1.0], at.shape[1])


def net_steps(key: IntArray, step: FloatArray) -> tuple[IntArray, FloatArray]:
    """Rising keys, each once, with the sum of its steps; without those whose sum is 0."""
    order = np.argsort(key)
    key, step = key[order], step[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
    total = np.add.reduceat(step, first) if len(first) else step
    return key[first][total != 0], total[total != 0]
