"""Which clips have which labels: datasets relabelled by the product, over the same audio."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from low_label.places import Places

from pipelines.stages.reindex.edit import reindex_labels
from pipelines.stages.reindex.settings import NewDataset
from shards.editing.settings import RelabelSettings
from shards.index import IndexRow


def relabelled(
    places: Places,
    dataset: str,
    subsets: Mapping[str, Sequence[IndexRow]],
    classes: tuple[str, ...] = (),
) -> str:
    """A dataset in which clips are moved to subsets; its URL.

    With classes, `strong` clips and those of `validation` and `test` have events, `weak` ones the
    labels of their events, and no other has any. Without, no label changes.
    """
    files = {
        "subsets": table_text(
            ("filename", "subset"),
            [(row.source_id, subset) for subset, rows in subsets.items() for row in rows],
        )
    }
    if classes:
        weak = subsets.get("weak", ())
        strong = [r for n in ("strong", "validation", "test") for r in subsets.get(n, ())]
        files["strong"] = table_text(
            ("filename", "onset", "offset", "event_label"),
            [line for row in strong for line in _events(row)],
        )
        if weak:
            files["weak"] = table_text(
                ("filename", "event_labels"),
                [(r.source_id, ",".join(sorted({e.label for e in r.events or ()}))) for r in weak],
            )
    paths = places.tables(files)
    moved = paths.pop("subsets")
    rule = RelabelSettings(classes=classes or None)
    return reindex_labels(
        dataset,
        rule=rule,
        settings=NewDataset(),
        tables=list(paths.values()),
        subsets=moved,
        **places.at("dataset", rule, dataset, moved, *paths.values()),
    )


def _events(row: IndexRow) -> list[tuple[Any, ...]]:
    """Lines of a clip; one without events has one with empty cells."""
    found = [(row.source_id, e.onset_s, e.offset_s, e.label) for e in row.events or ()]
    return found or [(row.source_id, "", "", "")]


def table_text(columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A table as CSV."""
    text = io.StringIO()
    csv.writer(text).writerows([columns, *lines])
    return text.getvalue()
