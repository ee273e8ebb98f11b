"""What a person should know of the labels of a dataset that was just made, one line each."""

from collections import Counter
from collections.abc import Iterator, Sequence

from shards.clip import nfc
from shards.index import IndexRow
from shards.quality.class_names import alike, alike_in_words
from shards.quality.label_statistics import count_overlaps


def clip_counts(rows: Sequence[IndexRow]) -> Counter[str]:
    """How many clips have each label, weakly or strongly."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update({*(row.weak or ()), *(event.label for event in row.events or ())})
    return counts


def classes_of_kept(
    rows: Sequence[IndexRow], classes: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, list[str]]:
    """The classes that clips have, in the order of `classes`, and a note on those left out."""
    if classes is None:
        return None, []
    counts = clip_counts(rows)
    names = list(dict.fromkeys(map(nfc, classes)))
    kept = tuple(name for name in names if name in counts)
    left = [name for name in names if name not in counts]
    if not left:
        return kept, []
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return kept, [f"classes of no clip that was kept, left out: {', '.join(left[:5])}{more}"]


def label_notes(rows: Sequence[IndexRow]) -> Iterator[str]:
    """Classes that differ in spelling alone, and events on top of another of their class."""
    counts = clip_counts(rows)
    for group in alike(counts):
        others = ", ".join(f"{name!r}" for name in group[1:])
        yield (
            f"classes that differ in spelling alone: {alike_in_words(group, counts)}; if they are "
            f"one, give pmam reindex labels --mapping a table with the columns old, new that maps "
            f"{others} to {group[0]!r}"
        )
    overlaps = [count for row in rows if (count := count_overlaps(row.events or ()))]
    if overlaps:
        yield (
            f"{sum(overlaps)} events in {len(overlaps)} clips overlap an earlier one of their "
            "class: training and scores take what overlaps as one event"
        )
