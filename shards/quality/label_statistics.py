"""What is labelled: per label and subset, and how many events sound at a time."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from shards.clip import Event
from shards.index import IndexRow

MOST = 3  # this many events at a time, or more


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """One label in one subset; `median_s` is None where it has no events."""

    label: str
    subset: str
    events: int
    seconds: float  # of its events
    median_s: float | None
    strong_clips: int  # with an event of it
    weak_clips: int  # with it as a weak label


@dataclass(frozen=True, kw_only=True)
class Polyphony:
    """Seconds of a subset's strongly labelled clips with no, one, two, three or more events."""

    subset: str
    seconds: tuple[float, ...]  # (MOST + 1,)

    def share(self, events: int) -> float:
        """The share of the time with any event that has so many; 0 where there is none."""
        labelled = sum(self.seconds[1:])
        return self.seconds[events] / labelled if labelled else 0.0


@dataclass
class _Sums:
    events: int = 0
    lengths_s: list[float] = field(default_factory=list)
    strong_clips: int = 0
    weak_clips: int = 0


def count_labels(rows: Iterable[IndexRow]) -> list[LabelCount]:
    """The counts of every label in every subset that has it, the most frequent labels first."""
    sums: dict[tuple[str, str], _Sums] = defaultdict(_Sums)
    for row in rows:
        for event in row.events or ():
            sums[event.label, row.subset].events += 1
            sums[event.label, row.subset].lengths_s += lengths_s([event])
        for label in {event.label for event in row.events or ()}:
            sums[label, row.subset].strong_clips += 1
        for label in set(row.weak or ()):
            sums[label, row.subset].weak_clips += 1
    clips: dict[str, int] = defaultdict(int)
    for (label, _), found in sums.items():
        clips[label] += found.strong_clips + found.weak_clips
    return [
        LabelCount(
            label=label,
            subset=subset,
            events=found.events,
            seconds=sum(found.lengths_s),
            median_s=median(found.lengths_s) if found.lengths_s else None,
            strong_clips=found.strong_clips,
            weak_clips=found.weak_clips,
        )
        for (label, subset), found in sorted(
            sums.items(), key=lambda item: (-clips[item[0][0]], item[0])
        )
    ]


def lengths_s(events: Iterable[Event]) -> list[float]:
    """How long events are, without those whose times make no sense."""
    found = (event.offset_s - event.onset_s for event in events)
    return [length_s for length_s in found if 0 < length_s < math.inf]


def polyphony(rows: Iterable[IndexRow]) -> list[Polyphony]:
    """How much of each strongly labelled subset has how many events at a time."""
    seconds: dict[str, list[float]] = {}
    for row in rows:
        if row.events is not None:
            of_subset = seconds.setdefault(row.subset, [0.0] * (MOST + 1))
            for events, length_s in enumerate(concurrent_s(row.events, row.duration_s)):
                of_subset[events] += length_s
    return [Polyphony(subset=name, seconds=tuple(values)) for name, values in seconds.items()]


def concurrent_s(events: Sequence[Event], duration_s: float) -> list[float]:
    """Seconds of a clip with 0, 1, ... `MOST` or more events; events are cut to the clip."""
    edges = [(0.0, 0), (duration_s, 0)]
    for event in events:
        onset_s, offset_s = (min(max(t, 0.0), duration_s) for t in (event.onset_s, event.offset_s))
        if onset_s < offset_s:
            edges += [(onset_s, 1), (offset_s, -1)]
    edges.sort()
    found = [0.0] * (MOST + 1)
    active = 0
    for (start_s, change), (end_s, _) in pairwise(edges):
        active += change
        found[min(active, MOST)] += end_s - start_s
    return found


def count_overlaps(events: Sequence[Event]) -> int:
    """How many events begin while an earlier one of their label sounds.

    So many events fewer are there when what overlaps is united. Events that only touch, to the
    microsecond, do not overlap.
    """
    ends_us: dict[str, int] = {}
    found = 0
    for event in sorted(events, key=lambda event: (event.onset_s, event.offset_s)):
        if not (math.isfinite(event.onset_s) and math.isfinite(event.offset_s)):
            continue
        onset_us, offset_us = round(event.onset_s * 1e6), round(event.offset_s * 1e6)
        found += onset_us < ends_us.get(event.label, onset_us)
        ends_us[event.label] = max(offset_us, ends_us.get(event.label, offset_us))
    return found
