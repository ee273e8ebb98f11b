"""Text with separators as cells: line by line, each taken literally or refused with its number.

The rules of quotes are those of Python's `csv` in its strict mode, for one line at a time: a quote
that is opened closes in its line. So no cell swallows the rows behind it.
"""

import csv
import re
import unicodedata
from collections.abc import Callable, Collection
from typing import NamedTuple

from shards.clip import nfc
from shards.errors import SourceError
from shards.tables.wrong_rows import WrongRows

SEPARATORS = ("\t", ";", ",")
NAMES = {"\t": "a tab", ";": "a semicolon", ",": "a comma"}
# Excel writes and reads such a first line.
_SEPARATOR_LINE = re.compile(r"sep=([\t;,])", re.IGNORECASE)


class Line(NamedTuple):
    """The cells of one line, stripped and in NFC; `number` counts all lines of the file from 1."""

    number: int
    cells: list[str]


def lines_of(
    text: str,
    separator: str,
    path: str,
    wrong: WrongRows | None = None,
    plain: Callable[[str, str], str] | None = None,
) -> list[Line]:
    """The lines of a text that are not blank.

    Args:
        text: of the table.
        separator: between its cells.
        path: what errors call it.
        wrong: gets the errors of lines; without it they are raised.
        plain: gives a cell as it is kept, by its text and where it is; by default `checked_text`.

    Raises:
        SourceError: quotes that do not close in their line, text beside them, or control
            characters; all lines of that kind in one message.
    """
    noted = WrongRows(path) if wrong is None else wrong
    found = []
    for number, line in numbered(text):
        with noted.noted():
            cells = cells_of(line, separator, f"{path} row {number}", plain)
            if any(cells):
                found.append(Line(number, cells))
    if wrong is None:
        noted.check()
    return found


def numbered(text: str) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers; they end in LF, CR LF or CR alone."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def cells_of(
    line: str, separator: str, where: str, plain: Callable[[str, str], str] | None = None
) -> list[str]:
    """The cells of one line; see `lines_of`."""
    try:
        [cells] = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    except csv.Error as error:
        reason = "a quote is opened and not closed" if "unexpected end" in str(error) else error
        raise SourceError(
            f"{where}: {reason} in {line[:60]!r}; expected each quote closed in its line, and a "
            "quote inside a quoted cell doubled: correct the row"
        ) from error
    plain = checked_text if plain is None else plain
    return [plain(cell, where) for cell in cells]


def checked_text(cell: str, where: str) -> str:
    """A cell stripped and in NFC; control characters are refused."""
    cell = nfc(cell.strip())
    # surrogates cannot be stored as UTF-8; JSON can spell them
    odd = next((each for each in cell if unicodedata.category(each) in ("Cc", "Cs")), None)
    if odd is not None:
        raise SourceError(
            f"{where}: got the control character U+{ord(odd):04X} in {cell[:60]!r}; expected plain "
            "text in UTF-8: correct the row, or convert the file"
        )
    return cell


def separator_of(text: str, usual: str, columns: Collection[str], path: str) -> tuple[str, str]:
    """The separator of a table, and its text without a line that only names the separator.

    The one by which the header holds most of `columns` (in lower case); of equals, the one that is
    usual for the file's suffix, or the one that separates at all.
    """
    first = re.split(r"[\r\n]", text, maxsplit=1)[0]
    if named := _SEPARATOR_LINE.fullmatch(first.strip('" ')):
        return named[1], text[len(first) :]
    header = re.split(r"[\r\n]", text.lstrip("\r\n"), maxsplit=1)[0]
    if not header.strip():
        header = next((line for _, line in numbered(text)), "")

    def fit(separator: str) -> tuple[int, bool, bool]:
        try:
            cells = cells_of(header, separator, path)
        except SourceError:
            return (-1, False, False)
        known = sum(column_name(cell) in columns for cell in cells)
        return (known, separator == usual and len(cells) > 1, len(cells) > 1)

    return max((usual, *SEPARATORS), key=fit), text


def column_name(cell: str) -> str:
    """A header's cell as columns are called here: `Event Label` is `event_label`."""
    return re.sub(r"[\s-]+", "_", cell.strip().casefold())
