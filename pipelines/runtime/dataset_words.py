"""What a dataset holds, counted."""

from collections import Counter
from collections.abc import Iterable

from shards.index import IndexRow


def label_counts(rows: Iterable[IndexRow]) -> dict[str, dict[str, int]]:
    """By label: the clips that have it, weakly or strongly, and its events."""
    clips: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for row in rows:
        strong = [event.label for event in row.events or ()]
        clips.update({*strong, *(row.weak or ())})
        events.update(strong)
    return {label: {"clips": clips[label], "events": events[label]} for label in sorted(clips)}
