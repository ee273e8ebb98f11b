"""Tables of text with a separator: what tables of several programs share."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
    read_event,
)
from shards.annotations.format import Content, number_text, time_text
from shards.clip import is_empty
from shards.errors import SourceError, several
from shards.tables.cells import is_number
from shards.tables.rows import decimal_points, rows_of
from shards.tables.separated import cells_of, column_name, lines_of, separator_of
from shards.tables.wrong_rows import WrongRows

Row = Mapping[str, str]
# A line break inside a cell: the reader takes a table line by line, so that no quote merges rows.
LINE_BREAK = r"[\r\n]"


def header(content: Content, delimiter: str) -> tuple[str, ...]:
    """The names in the first line; none where its quotes do not close."""
    try:
        return tuple(cells_of(content.first_line, delimiter, content.path, _stripped))
    except SourceError:
        return ()


def spelt(content: Content, usual: str, names: Collection[str]) -> tuple[str, Content]:
    """A program's table as that writes it: its separator, and its columns under their own names.

    Spreadsheets put semicolons for commas, and people write columns in another case.

    Args:
        content: of the file.
        usual: the separator that the program writes.
        names: the columns that a reader looks for.
    """
    own = {column_name(name): name for name in names}
    try:
        separator, text = separator_of(content.text, usual, own.keys(), content.path)
    except SourceError:
        return usual, content
    found = header(replace(content, data=text.encode("utf-8", "surrogatepass")), separator)
    if text is content.text and all(own.get(column_name(n), n) == n for n in found):
        return separator, content
    first, end, rest = re.split(r"([\r\n])", text.lstrip("\r\n") + "\n", maxsplit=1)
    above = text[: len(text) - len(text.lstrip("\r\n"))]
    head = line([own.get(column_name(n), n) for n in found], separator).rstrip("\n") or first
    return separator, replace(
        content, data=f"{above}{head}{end}{rest}".encode("utf-8", "surrogatepass")
    )


def _stripped(cell: str, where: str) -> str:
    """A cell as it is written: file names keep their spelling of Unicode."""
    return cell.strip()


def rows(
    content: Content, delimiter: str, numbers: Collection[str] = ()
) -> Iterator[tuple[str, Row]]:
    """Where a row is, for errors, and its cells by column; empty lines are left out.

    A quote that is opened closes in its line: see `shards.tables.separated`.

    Args:
        content: of the file.
        delimiter: between its cells.
        numbers: columns that may have decimal commas.

    Raises:
        AnnotationError: cells without a column, a column twice, or a quote that is not closed;
            all such rows at once, after those that can be read.
    """
    path, wrong = content.path, WrongRows(content.path)
    found = []
    with wrong.noted():
        if lines := lines_of(content.text, delimiter, path, wrong, _stripped):
            _check_names(lines[0].cells, f"{path} row {lines[0].number}")
            found = rows_of(lines, delimiter, path, wrong)
        decimal_points(found, path, numbers)
    for row in found:
        yield row.where, row
    if wrong.messages:
        raise several([AnnotationError(message) for message in wrong.messages])


def _check_names(names: Iterable[str], where: str) -> None:
    """Refuse columns that differ in spelling alone, of which nobody knows which one is meant."""
    known: dict[str, str] = {}
    for name in filter(None, names):
        if (other := known.setdefault(column_name(name), name)) != name:
            raise SourceError(
                f"{where}: got the columns {other!r} and {name!r}, which differ in spelling alone; "
                "expected each once: rename or remove one"
            )


def line(cells: Iterable[str], delimiter: str) -> str:
    """A line; a cell with the separator or a quote is quoted (RFC 4180), line breaks are spaces."""
    return delimiter.join(_quoted(cell, delimiter) for cell in cells) + "\n"


def _quoted(text: str, delimiter: str) -> str:
    text = re.sub(LINE_BREAK, " ", text)
    if re.search(rf'["{delimiter}]', text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def number(cell: Any, where: str, what: str) -> float:
    """A number from a cell, or from a value of JSON.

    Raises:
        AnnotationError: it is none.
    """
    if not is_number(str(cell).strip()):
        raise AnnotationError(f"{where}: got the {what} {cell!r}; expected a number: correct it")
    return float(cell)


def whole_number(cell: Any, where: str, what: str) -> int:
    """A whole number from a cell, also one that is written as `1.0`.

    Raises:
        AnnotationError: it is none.
    """
    if not (found := number(cell, where, what)).is_integer():
        raise AnnotationError(
            f"{where}: got the {what} {cell!r}; expected a whole number: correct it"
        )
    return int(found)


def sound_event(cells: Row, extra: Row, where: str) -> SoundEvent:
    """An event of cells by the names of `SoundEvent`; empty cells (`is_empty`) are left out.

    Raises:
        AnnotationError: a cell that is not what it should be; it names the row.
    """
    given = {name: cell for name, cell in cells.items() if not is_empty(cell)}
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
        channel = whole_number(given["channel"], where, "channel")
    return read_event(
        where,
        **numbers,
        label=cells.get("label", ""),
        channel=channel,
        annotator=given.get("annotator"),
        notes=given.get("notes"),
        extra={name: cell for name, cell in extra.items() if cell != ""},
    )


def matched(names: Iterable[str], known: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Which column is which field: by the first of a field's names that is there.

    In any case, and with spaces for `_`.
    """
    plain = {column_name(name): name for name in reversed(list(names))}
    return {
        field: plain[found]
        for field, aliases in known.items()
        if (found := next((n for n in map(column_name, aliases) if n in plain), None)) is not None
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
