"""Overlapping events of one class in one clip as one event: one rule for targets and metrics."""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from pmam.events.event import Event, FloatArray


def whole_us(seconds: FloatArray) -> FloatArray:
    """Seconds to the nearest whole microsecond (as floats)."""
    return np.rint(seconds * 1e6)


def merged(onsets_s: FloatArray, offsets_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Events of one class in one clip with overlapping ones united, in order of time.

    Two events that only touch, to the microsecond, stay two.
    """
    order = np.lexsort((offsets_s, onsets_s))
    onsets_s, offsets_s = onsets_s[order], np.maximum.accumulate(offsets_s[order])
    starts = np.ones(len(onsets_s), dtype=bool)
    starts[1:] = whole_us(onsets_s[1:]) >= whole_us(offsets_s[:-1])
    ends = np.append(starts[1:], True)
    return onsets_s[starts], offsets_s[ends]


def united(events: Iterable[Event]) -> list[Event]:
    """The events of one clip, those of each label by :func:`merged`; as given where none overlap.

    Labels come in the order in which they first appear.
    """
    events = list(events)
    by_label: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for event in events:
        by_label[event.label].append((event.onset_s, event.offset_s))
    found = []
    for label, times in by_label.items():
        onsets_s, offsets_s = merged(*np.array(times, dtype=np.float64).T)
        found += [
            Event(onset_s=onset_s, offset_s=offset_s, label=label)
            for onset_s, offset_s in zip(onsets_s.tolist(), offsets_s.tolist(), strict=True)
        ]
    return events if len(found) == len(events) else found
