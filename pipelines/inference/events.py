"""Labelled events of a packed dataset as those that targets and metrics take: one way for all."""

from collections.abc import Iterable

from pmam.events.event import Event
from shards.clip import Event as Labelled


def events_of(labelled: Iterable[Labelled] | None) -> list[Event]:
    """The events of a clip; none where nobody labelled it.

    Raises:
        InputError: an event that ends before it begins, or has no length.
    """
    return [Event(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in labelled or ()]


def events_within(
    labelled: Iterable[Labelled] | None, begin_s: float, length_s: float
) -> list[Event]:
    """The parts of a clip's events that lie in a crop, in seconds from where the crop begins."""
    found = []
    for event in labelled or ():
        onset_s = max(event.onset_s - begin_s, 0.0)
        offset_s = min(event.offset_s - begin_s, length_s)
        if onset_s < offset_s:
            found.append(Event(onset_s=onset_s, offset_s=offset_s, label=event.label))
    return found
