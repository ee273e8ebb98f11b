"""What the cells of a label table mean: labels, times, whole numbers."""

import re
from collections.abc import Collection, Iterable

from shards.clip import Event, is_empty
from shards.errors import SourceError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.I | re.ASCII)
_LISTED = re.compile(r"""[\[({]\s*(['"].*|[\])}])""")  # ['Dog'], {"Dog": 1}, []


def is_number(cell: str) -> bool:
    """Whether a cell is a number as tables write it, NaN and infinite ones among them."""
    return _NUMBER.fullmatch(cell) is not None


def event(onset: str, offset: str, label: str, where: str) -> Event:
    """An event from a table's cells; `where` is what an error calls the row.

    Times that are no times of a clip (negative, infinite, too late) are refused with the clip.
    """
    times = [onset.strip(), offset.strip()]
    if not all(map(is_number, times)):
        raise SourceError(
            f"{where}: got onset {onset!r} and offset {offset!r}; expected seconds: correct the row"
        )
    return Event(float(times[0]), float(times[1]), label_of(label, where))


def in_time(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events by onset, offset and label, so that the order of a table's rows does not matter."""
    return tuple(sorted(events, key=lambda each: (each.onset_s, each.offset_s, each.label)))


def integer(cell: str, where: str) -> int:
    """A whole number from a table's cell."""
    if re.fullmatch(r"[+-]?\d{1,18}", cell.strip(), re.ASCII) is None:
        raise SourceError(f"{where}: got {cell!r}; expected a whole number")
    return int(cell)


def is_list(cell: str) -> bool:
    """Whether a cell is a list in the spelling of a program, such as `['Dog']`."""
    return _LISTED.match(cell) is not None


def label_of(cell: str, where: str) -> str:
    """One label, taken literally; '' for an empty cell.

    Raises:
        SourceError: a list in the spelling of a program, such as `['Dog']`.
    """
    if is_empty(cell):
        return ""
    if is_list(cell) or any(cell.count(a) != cell.count(b) for a, b in ("[]", "{}")):
        raise SourceError(
            f"{where}: got the label {cell!r}, a list of a program; expected plain labels, with "
            "commas between where a cell may hold several: correct the row"
        )
    return cell


def labels_of(cell: str, where: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """The labels of a cell that may hold several; see `split_labels`."""
    if is_empty(cell):
        return ()
    if is_list(cell):
        label_of(cell, where)
    parts = split_labels(cell, known)
    if len(parts) > 1 and any(part.startswith('"') for part in parts):
        raise SourceError(
            f"{where}: got the labels {cell!r}, with quotes of their own between commas; expected "
            "plain labels: take the quotes off, or name a class with a comma in a strong table or "
            "in a list of a .jsonl table"
        )
    labels = (label_of(label, where) for label in parts)
    return tuple(dict.fromkeys(label for label in labels if label))


def split_labels(cell: str, known: Collection[str] = ()) -> tuple[str, ...]:
    """The labels of a cell with commas between, each once, in their order.

    A label that holds commas itself stays whole where it is among `known`; of several that fit,
    the longest.
    """
    parts = [part.strip() for part in cell.split(",")]
    whole = {tuple(map(str.strip, label.split(","))): label for label in known if "," in label}
    longest = max(map(len, whole), default=1)
    found: dict[str, None] = {}
    at = 0
    while at < len(parts):
        for length in range(min(longest, len(parts) - at), 0, -1):
            label = whole.get(tuple(parts[at : at + length]))
            if label is not None:
                break
        else:
            label, length = parts[at], 1
        if label:
            found[label] = None
        at += length
    return tuple(found)
