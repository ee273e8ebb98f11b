"""Labels that hold commas themselves, where commas part the labels of a cell."""

from collections.abc import Collection, Iterable, Sequence

from shards.tables.rows import Row


def with_commas(
    tables: Iterable[Sequence[Row]], one: str = "event_label", many: str = "event_labels"
) -> frozenset[str]:
    """Labels with commas, as some tables tell them: in the column of one label, or in JSON lists.

    Given to `split_labels`, they make one class of one name in all tables.
    """
    found: set[str] = set()
    for rows in tables:
        for row in rows:
            found.add(row.get(one, ""))
            found.update(row.lists.get(many, ()))
    return frozenset(label for label in found if "," in label)


def cut_at_commas(
    rows: Sequence[Row], whole: Collection[str], many: str = "event_labels"
) -> list[str]:
    """Cells that are cut at a comma with a space behind it, which may stand inside a name."""
    return [
        row[many]
        for row in rows
        if ", " in row.get(many, "")
        and many not in row.lists
        and sum(label not in whole for label in row.labels(many, whole)) > 1
    ]
