"""What a person should know of the labels of a dataset that was just made, one line each."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from shards.clip import nfc
from shards.index import IndexRow
from shards.label_columns import LabelColumns
from shards.quality.class_names import alike, alike_in_words
from shards.quality.label_statistics import overlaps


def classes_of_kept(
    rows: Iterable[IndexRow], classes: Sequence[str] | None
) -> tuple[tuple[str, ...] | None, list[str]]:
    """The classes that clips have, in the order of `classes`, and a note on those left out."""
    if classes is None:
        return None, []
    counts = LabelColumns.of(rows).clip_counts()
    names = list(dict.fromkeys(map(nfc, classes)))
    kept = tuple(name for name in names if name in counts)
    left = [name for name in names if name not in counts]
    if not left:
        return kept, []
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return kept, [f"classes of no clip that was kept, left out: {', '.join(left[:5])}{more}"]


def label_notes(rows: Iterable[IndexRow]) -> Iterator[str]:
    """Classes that differ in spelling alone, and events on top of another of their class."""
    labels = LabelColumns.of(rows)
    counts = labels.clip_counts()
    for group in alike(counts):
        others = ", ".join(f"{name!r}" for name in group[1:])
        yield (
            f"classes that differ in spelling alone: {alike_in_words(group, counts)}; if they are "
            f"one, give pmam reindex labels --mapping a table with the columns old, new that maps "
            f"{others} to {group[0]!r}"
        )
    overlapping = overlaps(labels)
    if overlapping.any():
        yield (
            f"{overlapping.sum()} events in {np.count_nonzero(overlapping)} clips overlap an "
            "earlier one of their class: training and scores take what overlaps as one event"
        )
