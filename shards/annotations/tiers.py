"""Tiers, whose events may not overlap: for programs that draw events as lanes."""

from collections.abc import Iterable

from shards.annotations.event import SoundEvent

TIER = "tier"  # the extra column that keeps the name of an event's tier
DEFAULT_TIER = "events"


def tiers(events: Iterable[SoundEvent]) -> dict[str, list[SoundEvent]]:
    """Events by the name of a tier; what overlaps goes to further ones: `events 2` and so on."""
    found: dict[str, list[SoundEvent]] = {}
    for event in sorted(events, key=lambda each: (each.onset_s, each.offset_s, each.label)):
        name = event.extra.get(TIER, DEFAULT_TIER)
        number, lane = 1, name
        while lane in found and found[lane][-1].offset_s > event.onset_s:
            number += 1
            lane = f"{name} {number}"
        found.setdefault(lane, []).append(event)
    return found


def tier_extra(name: str) -> dict[str, str]:
    """What an event that was read from a tier keeps of the tier's name."""
    base, _, number = name.rpartition(" ")
    name = base if base and number.isdecimal() else name
    return {} if name == DEFAULT_TIER else {TIER: name}
