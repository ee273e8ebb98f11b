"""The labels of one clip out of all rows that name it, and what is told of their cells."""

from collections.abc import Collection, Iterable

from shards.clip import Event, is_empty
from shards.errors import told
from shards.tables.cells import event, in_time
from shards.tables.rows import Row
from shards.tables.wrong_rows import WrongRows

STRONG = ("onset", "offset", "event_label")
WEAK = "event_labels"


def strong_events(
    rows: Iterable[Row], wrong: WrongRows, columns: tuple[str, str, str] = STRONG
) -> tuple[Event, ...]:
    """Events by time; a row whose three cells are empty tells of a clip without events.

    Args:
        rows: of the clip.
        wrong: gets the rows that cannot be read.
        columns: of the onset, the offset and the label.
    """
    found = []
    for row in rows:
        onset, offset, label = (row[column] for column in columns)
        if not all(map(is_empty, (onset, offset, label))):
            with wrong.noted():
                where = f"{row.where} ({row['filename']})" if "filename" in row else row.where
                found.append(event(onset, offset, label, where))
    return in_time(found)


def weak_labels(
    rows: Iterable[Row], wrong: WrongRows, whole: Collection[str] = (), column: str = WEAK
) -> tuple[str, ...]:
    """The labels of all rows, each once, in their order; `whole` are labels that hold commas."""
    found: dict[str, None] = {}
    for row in rows:
        with wrong.noted():
            found |= dict.fromkeys(row.labels(column, whole))
    return tuple(found)


def empty_cells(rows: Iterable[Row], path: str, column: str = WEAK) -> str | None:
    """What is told of cells that hold a program's missing value where labels are expected.

    None where there are none. Cells of nothing at all are people's own: of a clip that somebody
    listened to, and in which none of the classes was heard.
    """
    blank = [row for row in rows if row.get(column, "") and is_empty(row[column])]
    if not blank:
        return None
    cells = told([f"{row[column]!r} in {row.where.removeprefix(path).strip()}" for row in blank])
    return (
        f"{len(blank)} cells are taken as none of the classes ({cells}); where nobody labelled the "
        "clip, remove its row"
    )
