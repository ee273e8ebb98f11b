"""Tables as rows: TSV, CSV with commas or semicolons, and JSONL."""

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shards.errors import SourceError
from shards.tables.cells import labels_of
from shards.tables.separated import (
    NAMES,
    Line,
    checked_text,
    column_name,
    lines_of,
    numbered,
    separator_of,
)
from shards.tables.wrong_rows import WrongRows

TIMES = ("onset", "offset", "start", "end", "start_time_seconds", "end_time_seconds")
# Columns that are known under these names, however a header spells them.
COLUMNS = frozenset(
    {
        *TIMES,
        *("onset_s", "offset_s", "filename", "event_label", "event_labels", "label", "labels"),
        *("class", "category", "recording", "fold", "subset", "split", "old", "new", "segment_id"),
    }
)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_POINT_NUMBER = re.compile(r"[+-]?\d*\.\d+(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


class Row(dict[str, str]):
    """The cells of one row by column; an empty or missing cell is ''.

    `where` is what errors call it. `lists` holds cells of JSON that were lists of labels.
    """

    def __init__(
        self,
        cells: Mapping[str, str],
        where: str = "",
        lists: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(cells)
        self.where = where
        self.lists = lists or {}

    def labels(self, column: str, known: Collection[str] = ()) -> tuple[str, ...]:
        """The labels of a cell, each once; see `shards.tables.cells.split_labels`."""
        listed = self.lists.get(column)
        if listed is None:
            return labels_of(self.get(column, ""), self.where, known)
        return tuple(dict.fromkeys(label for label in listed if label))


def separated_rows(
    text: str,
    separator: str,
    path: str,
    required: Sequence[str] = (),
    wrong: WrongRows | None = None,
) -> list[Row]:
    """The rows of a TSV or CSV text.

    Known columns are found in any case and with spaces for `_`. The header decides whether tabs,
    semicolons or commas separate; `separator` is the usual one. Where it is a tab or a semicolon,
    times may have decimal commas. Rows that do not fit the header go to `wrong` where it is given.

    Raises:
        SourceError: no table, or rows that do not fit its header; all of these in one message.
    """
    known = COLUMNS.union(required)
    separator, text = separator_of(text, separator, known, path)
    noted = WrongRows(path) if wrong is None else wrong
    lines = lines_of(text, separator, path, noted)
    if not lines:
        noted.check()
        raise SourceError(f"{path}: got an empty table; expected a header row: fill or remove it")
    rows = rows_of(lines, separator, path, noted, known, required)
    if separator != ",":
        with noted.noted():
            decimal_points(rows, path)
    if wrong is None:
        noted.check()
    return rows


def rows_of(
    lines: Sequence[Line],
    separator: str,
    path: str,
    wrong: WrongRows,
    known: Collection[str] = (),
    required: Sequence[str] = (),
) -> list[Row]:
    """Lines as rows under the first of them, the header; `wrong` gets those that do not fit it.

    Raises:
        SourceError: a column twice, or one of `required` that is not there.
    """
    where = f"{path} row {lines[0].number}"
    header = _names(lines[0].cells, known, where)
    if missing := [column for column in required if column not in header]:
        raise SourceError(f"{where}: {_lacking(header, missing)}")
    rows = []
    for line in lines[1:]:
        with wrong.noted():
            where = f"{path} row {line.number}"
            rows.append(Row(_under(header, line, separator, where), where))
    return rows


def json_rows(
    text: str, path: str, required: Sequence[str] = (), wrong: WrongRows | None = None
) -> list[Row]:
    """The rows of a JSONL text, one object a line; those that are none go to `wrong`, if given."""
    known = COLUMNS.union(required)
    noted = WrongRows(path) if wrong is None else wrong
    rows = []
    for number, line in numbered(text):
        with noted.noted():
            row = _json_row(line, f"{path} line {number}", known)
            if missing := [column for column in required if column not in row]:
                raise SourceError(f"{row.where}: {_lacking(row, missing)}")
            rows.append(row)
    if wrong is None:
        noted.check()
    return rows


def _names(cells: Sequence[str], known: Collection[str], where: str) -> list[str]:
    names = [name if (name := column_name(cell)) in known else cell for cell in cells]
    counts = Counter(name for name in names if name)
    if doubled := [name for name, count in counts.items() if count > 1]:
        raise SourceError(
            f"{where}: got the column {doubled[0]!r} twice; expected each once: rename or remove "
            "one"
        )
    return names


def _lacking(columns: Collection[str], missing: Sequence[str]) -> str:
    return f"got the columns {', '.join(columns)}; expected also {', '.join(missing)}: add them"


def _under(header: Sequence[str], line: Line, separator: str, where: str) -> dict[str, str]:
    cells = line.cells
    if any(cells[len(header) :]):
        raise SourceError(
            f"{where}: got {len(cells)} cells under {len(header)} columns, with {NAMES[separator]} "
            "between; expected one each: quote cells that hold the separator"
        )
    cells = [*cells, *[""] * (len(header) - len(cells))]
    return {name: cell for name, cell in zip(header, cells, strict=False) if name}


def decimal_points(rows: Sequence[Row], path: str, columns: Collection[str] = TIMES) -> None:
    """Put points for decimal commas in columns of numbers.

    Raises:
        SourceError: decimal commas and decimal points in one table.
    """
    commas: list[tuple[Row, str]] = []
    point = ""
    for row in rows:
        for column in columns:
            cell = row.get(column, "")
            if _COMMA_NUMBER.fullmatch(cell):
                commas.append((row, column))
            elif not point and _POINT_NUMBER.fullmatch(cell):
                point = f"{cell} in {row.where.removeprefix(path).strip()}"
    if commas and point:
        row, column = commas[0]
        raise SourceError(
            f"{row.where}: got the time {row[column]} and {point}; expected decimal commas or "
            "decimal points, not both: correct the table"
        )
    for row, column in commas:
        row[column] = row[column].replace(",", ".")


def _json_row(line: str, where: str, known: Collection[str]) -> Row:
    try:
        values = json.loads(line, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{where}: no JSON ({error}): correct the line") from error
    if not isinstance(values, _Pairs):
        raise SourceError(f"{where}: got {type(values).__name__}; expected one object a line")
    names = _names([checked_text(name, where) for name, _ in values], known, where)
    cells: dict[str, str] = {}
    lists: dict[str, tuple[str, ...]] = {}
    for name, (_, value) in zip(names, values, strict=True):
        cells[name] = checked_text(_json_cell(value, where), where)
        if isinstance(value, list):
            lists[name] = tuple(checked_text(item, where) for item in value)
    return Row(cells, where, lists)


def _json_cell(value: Any, where: str) -> str:
    """A JSON value as the other formats hold it; a list of labels with commas between."""
    if isinstance(value, list) and not isinstance(value, _Pairs):
        if all(isinstance(item, str) for item in value):
            return ",".join(value)
    elif not isinstance(value, list):
        return "" if value is None else str(value)
    raise SourceError(f"{where}: got a nested value; expected texts, numbers or labels")


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON as it is written: a doubled name is seen."""


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    return _Pairs(pairs)
