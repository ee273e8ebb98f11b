"""What is labelled: per label and subset, and how many events sound at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from shards.clip import Event
from shards.columns import Bools, Ints
from shards.index import IndexRow
from shards.label_columns import Coded, Floats, LabelColumns, durations_s
from shards.rows import table_of

MOST = 3  # this many events at a time, or more
BLOCK = 1 << 17  # clips whose events are counted at a time


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


def count_labels(rows: Iterable[IndexRow]) -> list[LabelCount]:
    """The counts of every label in every subset that has it, the most frequent labels first."""
    table = table_of(rows)
    labels, subsets = LabelColumns.of(table), Coded.of(table["subset"])
    parts = len(labels.names) * len(subsets)

    def of_part(clip: Ints, label: Ints) -> Ints:
        return label * len(subsets) + subsets.codes[clip]

    def counted(pairs: Ints) -> list[int]:
        counts: list[int] = np.bincount(of_part(*labels.parted(pairs)), minlength=parts).tolist()
        return counts

    strong, weak = counted(labels.strong_pairs()), counted(labels.weak_pairs())
    of_event = of_part(labels.event_clip, labels.event)
    events = np.bincount(of_event, minlength=parts).tolist()
    lengths_s, known = event_lengths_s(labels)
    order = np.argsort(of_event[known], kind="stable")
    stops = np.cumsum(np.bincount(of_event[known], minlength=parts))
    lengths = np.split(lengths_s[known][order], stops[:-1]) if parts else []
    clips: dict[str, int] = dict.fromkeys(labels.names, 0)
    found = []
    for part in range(parts):
        label, subset = divmod(part, len(subsets))
        name = labels.names[label]
        clips[name] += strong[part] + weak[part]
        if strong[part] or weak[part]:
            found.append(
                LabelCount(
                    label=name,
                    subset=subsets.names[subset],
                    events=events[part],
                    seconds=sum(lengths[part].tolist()),
                    median_s=median(lengths[part].tolist()) if len(lengths[part]) else None,
                    strong_clips=strong[part],
                    weak_clips=weak[part],
                )
            )
    return sorted(found, key=lambda each: (-clips[each.label], each.label, each.subset))


def event_lengths_s(labels: LabelColumns) -> tuple[Floats, Bools]:
    """How long events are, and of which the times make sense."""
    lengths_s = labels.offset_s - labels.onset_s
    return lengths_s, np.isfinite(lengths_s) & (lengths_s > 0)


def polyphony(rows: Iterable[IndexRow]) -> list[Polyphony]:
    """How much of each strongly labelled subset has how many events at a time."""
    table = table_of(rows)
    subsets = Coded.of(table["subset"])
    seconds = np.zeros(len(subsets) * (MOST + 1))
    shown: dict[int, None] = {}
    for start in range(0, len(table), BLOCK):
        block, codes = table.slice(start, BLOCK), subsets.codes[start : start + BLOCK]
        labels = LabelColumns.of(block)
        segment_s, active, clip = _segments(labels, durations_s(block))
        part = codes[clip] * (MOST + 1) + active
        seconds += np.bincount(part, segment_s, minlength=len(seconds))
        shown |= dict.fromkeys(codes[labels.has_events].tolist())
    return [
        Polyphony(
            subset=subsets.names[subset],
            seconds=tuple(seconds.reshape(-1, MOST + 1)[subset].tolist()),
        )
        for subset in shown
    ]


def concurrent_s(events: Sequence[Event], duration_s: float) -> list[float]:
    """Seconds of a clip with 0, 1, ... `MOST` or more events; events are cut to the clip."""
    none = np.zeros(len(events), np.int64)
    labels = LabelColumns(
        clips=1,
        names=("",),
        weak_clip=none[:0],
        weak=none[:0],
        event_clip=none,
        event=none,
        onset_s=np.array([event.onset_s for event in events], np.float64),
        offset_s=np.array([event.offset_s for event in events], np.float64),
        has_weak=np.array([False]),
        has_events=np.array([True]),
    )
    segment_s, active, _ = _segments(labels, np.array([duration_s], np.float64))
    seconds: list[float] = np.bincount(active, segment_s, minlength=MOST + 1).tolist()
    return seconds


def _segments(labels: LabelColumns, durations_s: Floats) -> tuple[Floats, Ints, Ints]:
    """Stretches between edges of events, of strongly labelled clips: seconds, events, clip."""
    clips = np.flatnonzero(labels.has_events)
    ends_s = durations_s[labels.event_clip]
    onset_s = np.minimum(np.maximum(labels.onset_s, 0.0), ends_s)
    offset_s = np.minimum(np.maximum(labels.offset_s, 0.0), ends_s)
    real = onset_s < offset_s  # not where one is no number
    inside, ones = labels.event_clip[real], np.ones(int(real.sum()), np.int64)
    none = np.zeros(len(clips), np.int64)
    clip = np.concatenate([clips, clips, inside, inside])
    time_s = np.concatenate([none, durations_s[clips], onset_s[real], offset_s[real]])
    change = np.concatenate([none, none, ones, -ones])
    order = np.lexsort((time_s, clip))
    clip, time_s, change = clip[order], time_s[order], change[order]
    same = clip[1:] == clip[:-1]  # changes of a clip sum to 0: the next begins with no event
    active = np.minimum(np.cumsum(change)[:-1], MOST)
    return (time_s[1:] - time_s[:-1])[same], active[same], clip[:-1][same]


def count_overlaps(events: Sequence[Event]) -> int:
    """How many events begin while an earlier one of their label sounds.

    So many events fewer are there when what overlaps is united. Events that only touch, to the
    microsecond, do not overlap.
    """
    codes: dict[str, int] = {}
    labels = np.array([codes.setdefault(event.label, len(codes)) for event in events], np.int64)
    onset_s = np.array([event.onset_s for event in events], np.float64)
    offset_s = np.array([event.offset_s for event in events], np.float64)
    return len(_overlapping(labels, onset_s, offset_s))


def overlaps(labels: LabelColumns) -> Ints:
    """`count_overlaps` of every clip, `(clips,)`."""
    sound = labels.event_clip * len(labels.names) + labels.event
    found = _overlapping(sound, labels.onset_s, labels.offset_s)
    return np.bincount(labels.event_clip[found], minlength=labels.clips)


def _overlapping(sound: Ints, onset_s: Floats, offset_s: Floats) -> Ints:
    """The places of events that begin while an earlier one of the same `sound` lasts."""
    known = np.flatnonzero(np.isfinite(onset_s) & np.isfinite(offset_s))
    order = known[np.lexsort((offset_s[known], onset_s[known], sound[known]))]
    onset_us, offset_us = np.rint(onset_s[order] * 1e6), np.rint(offset_s[order] * 1e6)
    begins = np.flatnonzero(np.r_[True, np.diff(sound[order]) != 0]) if len(order) else order
    is_first = np.zeros(len(order), np.bool_)
    is_first[begins] = True
    # The latest end so far, in groups of two events and more: few clips have long ones.
    latest = offset_us
    late = np.flatnonzero(~is_first)
    for place in late.tolist():
        latest[place] = max(latest[place], latest[place - 1])
    found: Ints = order[late[onset_us[late] < latest[late - 1]]]
    return found
