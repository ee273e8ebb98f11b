"""What a detector got wrong: missed, false and badly placed events, the worst first."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.report.numbers import Scored
from pmam.events.event import Event
from pmam.metrics.events.event_f1 import Collars, within_collars

Kind = Literal["missed", "false", "badly placed"]
KINDS: tuple[Kind, ...] = ("missed", "false", "badly placed")


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """One event that is wrong.

    Args:
        kind: what is wrong with it.
        clip: place in `EvaluationSet.clips`.
        label: its class.
        truth: the true event; None for a false one.
        found: the detected event; None for a missed one.
        peak: the highest score of the class in it.
        threshold: of the class.
        badness: the greater, the worse; comparable within a kind.
    """

    kind: Kind
    clip: int
    label: str
    truth: Event | None
    found: Event | None
    peak: float
    threshold: float
    badness: float

    @property
    def span_s(self) -> tuple[float, float]:
        """From the first to the last of it, in seconds of the clip."""
        events = [event for event in (self.truth, self.found) if event is not None]
        return min(e.onset_s for e in events), max(e.offset_s for e in events)


def mistakes(output: Scored, collars: Collars | None = None) -> list[Mistake]:
    """All that is wrong, of each kind the worst first.

    Detections and events that fit by the collars of event-based F1 are right. Of the others of one
    class and clip, those that overlap are one event that is badly placed, as many as can be paired;
    what is left is missed or false. The worst of the missed are those whose scores stay farthest
    below the threshold, of the false those farthest above it, and of the badly placed those whose
    edges are farthest off.
    """
    found: list[Mistake] = []
    for number, clip in enumerate(output.clips.clips):
        truth = output.clips.ground_truth[clip]
        for label in {e.label for e in truth} | {e.label for e in output.detections[clip]}:
            wanted = [event for event in truth if event.label == label]
            given = [event for event in output.detections[clip] if event.label == label]
            found += _of_class(output, number, label, wanted, given, collars or Collars())
    return sorted(
        found,
        key=lambda one: (KINDS.index(one.kind), -one.badness, one.clip, one.span_s, one.label),
    )


def worst(found: Sequence[Mistake], of_each: int) -> list[Mistake]:
    """Some of each kind: the worst of every class, then the second of every class, and so on."""
    chosen: list[Mistake] = []
    for kind in KINDS:
        by_class: dict[str, list[Mistake]] = defaultdict(list)
        for mistake in found:
            if mistake.kind == kind:
                by_class[mistake.label].append(mistake)
        ranked = [pair for of_class in by_class.values() for pair in enumerate(of_class)]
        ranked.sort(key=lambda pair: (pair[0], -pair[1].badness, pair[1].clip, pair[1].label))
        chosen += [mistake for _, mistake in ranked[:of_each]]
    return chosen


def _of_class(
    output: Scored,
    clip: int,
    label: str,
    wanted: Sequence[Event],
    given: Sequence[Event],
    collars: Collars,
) -> Iterable[Mistake]:
    fits = _fits(wanted, given, collars)
    wanted, given = _left(wanted, given, fits.astype(float))
    overlap_s = np.array([[_overlap_s(event, one) for event in wanted] for one in given])
    rows, columns = _paired(overlap_s.reshape(len(given), len(wanted)))
    for row, column in zip(rows, columns, strict=True):
        event, one = wanted[column], given[row]
        off_s = abs(one.onset_s - event.onset_s) + abs(one.offset_s - event.offset_s)
        yield _mistake(output, "badly placed", clip, label, event, one, off_s)
    for column in sorted(set(range(len(wanted))) - set(columns)):
        yield _mistake(output, "missed", clip, label, wanted[column], None, None)
    for row in sorted(set(range(len(given))) - set(rows)):
        yield _mistake(output, "false", clip, label, None, given[row], None)


def _mistake(
    output: Scored,
    kind: Kind,
    clip: int,
    label: str,
    truth: Event | None,
    found: Event | None,
    off_s: float | None,
) -> Mistake:
    column = list(output.clips.classes).index(label)
    limits = output.clips.threshold
    limit = float(limits) if isinstance(limits, float | int) else float(limits[column])
    name = output.clips.clips[clip]
    event = truth or found
    assert event is not None
    edges_s = output.clips.edges_s(name)
    first = int(np.searchsorted(edges_s, event.onset_s, side="right")) - 1
    stop = int(np.searchsorted(edges_s, event.offset_s, side="left"))
    scores = output.clips.scores[name][max(first, 0) : max(stop, first + 1), column]
    peak = float(scores.max()) if len(scores) else float("-inf")  # an event behind the last frame
    if off_s is not None:
        badness = off_s
    elif kind == "missed":
        badness = min(limit - peak, 2.0)
    else:
        badness = peak - limit
    return Mistake(
        kind=kind,
        clip=clip,
        label=label,
        truth=truth,
        found=found,
        peak=peak,
        threshold=limit,
        badness=badness,
    )


def _fits(wanted: Sequence[Event], given: Sequence[Event], collars: Collars) -> npt.NDArray[Any]:
    """Whether detections fit events, ``(detections, events)``."""

    def times(events: Sequence[Event]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        return np.array([e.onset_s for e in events]), np.array([e.offset_s for e in events])

    onset_s, offset_s = times(given)
    return within_collars((onset_s[:, None], offset_s[:, None]), times(wanted), collars)


def _left(
    wanted: Sequence[Event], given: Sequence[Event], gain: npt.NDArray[Any]
) -> tuple[list[Event], list[Event]]:
    """Events and detections that no pair of a best matching holds."""
    rows, columns = _paired(gain)
    return (
        [event for number, event in enumerate(wanted) if number not in set(columns)],
        [one for number, one in enumerate(given) if number not in set(rows)],
    )


def _paired(gain: npt.NDArray[Any]) -> tuple[list[int], list[int]]:
    """The pairs of the greatest sum of ``gain (detections, events)``, but those of no gain."""
    if not gain.size:
        return [], []
    from scipy.optimize import linear_sum_assignment  # slow to load

    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = gain[rows, columns] > 0
    return rows[real].tolist(), columns[real].tolist()


def _overlap_s(one: Event, other: Event) -> float:
    return max(0.0, min(one.offset_s, other.offset_s) - max(one.onset_s, other.onset_s))
