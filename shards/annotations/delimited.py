"""Tables of text with a separator: what tables of several programs share."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
)
from shards.annotations.format import Content, number_text, time_text

Row = Mapping[str, str]


def header(content: Content, delimiter: str) -> tuple[str, ...]:
    """The names in the first line."""
    try:
        cells = next(csv.reader([content.first_line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return ()
    return tuple(cell.strip() for cell in cells)


def rows(content: Content, delimiter: str) -> Iterator[tuple[str, Row]]:
    """Where a row is, for errors, and its cells by column; empty lines are left out.

    Raises:
        AnnotationError: cells without a column, a column twice, or a quote that is not closed.
    """
    reader = csv.reader(io.StringIO(content.text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not any(cells):
                continue
            where = f"{content.path} line {reader.line_num}"
            if names is None:
                names = [cell.strip() for cell in cells]
                if twice := sorted({name for name in names if name and names.count(name) > 1}):
                    raise AnnotationError(f"{where}: got the column {twice[0]!r} twice; remove one")
                continue
            if any(cells[len(names) :]):
                raise AnnotationError(
                    f"{where}: got {len(cells)} cells under {len(names)} columns; expected one "
                    "each: quote cells that hold the separator"
                )
            padded = [*cells, *[""] * (len(names) - len(cells))]
            yield where, dict(zip(names, padded, strict=False))
    except csv.Error as error:
        raise AnnotationError(
            f"{content.path} line {reader.line_num}: no readable table ({error}): correct it"
        ) from error


def line(cells: Iterable[str], delimiter: str) -> str:
    """A line; a cell with the separator, a newline or a quote is quoted (RFC 4180)."""
    return delimiter.join(_quoted(cell, delimiter) for cell in cells) + "\n"


def _quoted(text: str, delimiter: str) -> str:
    # Not the csv module: before Python 3.13 it leaves a lone carriage return unquoted.
    if re.search(rf'["\r\n{delimiter}]', text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def number(cell: str, where: str, what: str) -> float:
    """A number from a cell.

    Raises:
        AnnotationError: it is none.
    """
    try:
        return float(cell)
    except ValueError as error:
        raise AnnotationError(
            f"{where}: got the {what} {cell!r}; expected a number: correct it"
        ) from error


def sound_event(cells: Row, extra: Row, where: str) -> SoundEvent:
    """An event of cells by the names of `SoundEvent`; empty cells are left out.

    Raises:
        AnnotationError: a cell that is not what it should be; it names the row.
    """
    given = {name: cell for name, cell in cells.items() if cell != ""}
    numbers = {
        name: number(given[name], where, name)
        for name in ("onset_s", "offset_s", "score", "low_hz", "high_hz")
        if name in given
    }
    for name in ("onset_s", "offset_s"):
        if name not in numbers:
            raise AnnotationError(
                f"{where}: got no {name.removesuffix('_s')}; expected seconds: add it"
            )
    channel = None
    if "channel" in given:
        channel = int(number(given["channel"], where, "channel"))
    try:
        return SoundEvent(
            **numbers,
            label=cells.get("label", ""),
            channel=channel,
            annotator=given.get("annotator"),
            notes=given.get("notes"),
            extra={name: cell for name, cell in extra.items() if cell != ""},
        )
    except AnnotationError as error:
        raise AnnotationError(f"{where}: {error}") from error


def matched(names: Iterable[str], known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which column is which field: by the first of a field's names that is there, in any case."""
    lower = {name.lower(): name for name in reversed(list(names))}
    return {
        field: lower[found]
        for field, aliases in known.items()
        if (found := next((name for name in aliases if name in lower), None)) is not None
    }


def field_text(event: SoundEvent, field: str) -> str:
    """The cell of an optional field; empty where the event has none."""
    value = getattr(event, field)
    if value is None:
        return ""
    return number_text(value) if isinstance(value, int | float) else str(value)


def table_text(
    files: Iterable[AnnotatedFile], columns: Columns, delimiter: str, names: Mapping[str, str]
) -> Iterator[bytes]:
    """A table with a row an event, and a row with the file alone for a file without events.

    Args:
        files: the events.
        columns: which columns their events fill.
        delimiter: between cells.
        names: what the columns are called, by field, in their order; those of `OPTIONAL_FIELDS`
            that it leaves out come last, under their own names.
    """
    fields = [name for name in columns.fields if name not in names]
    shown = [name for name in names if name not in OPTIONAL_FIELDS or name in columns.fields]
    extra = [name for name in columns.extra if name not in names.values() and name not in fields]
    yield line([*(names[name] for name in shown), *fields, *extra], delimiter).encode()
    for file in files:
        lines = []
        for event in file.events:
            fixed = {"file": file.file, "label": event.label, "onset_s": time_text(event.onset_s)}
            fixed["offset_s"] = time_text(event.offset_s)
            fixed["duration_s"] = time_text(event.offset_s - event.onset_s)
            cells = [fixed[name] if name in fixed else field_text(event, name) for name in shown]
            cells += [field_text(event, name) for name in fields]
            lines.append(line([*cells, *(event.extra.get(name, "") for name in extra)], delimiter))
        if not file.events and "file" in shown:
            empty = [file.file if name == "file" else "" for name in shown]
            lines.append(line([*empty, *[""] * (len(fields) + len(extra))], delimiter))
        if lines:
            yield "".join(lines).encode()
