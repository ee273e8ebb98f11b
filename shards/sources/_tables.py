"""What all sources share: label tables, lists of audio files, and what a source returns."""

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

import yaml

from shards.audio.decoding import AUDIO_SUFFIXES
from shards.clip import Clip, Event
from shards.errors import ShardsError
from shards.io.store import Store

TABLE_SUFFIXES = (".tsv", ".csv", ".jsonl")
Row = Mapping[str, str]
Options = Mapping[str, str]


class SourceError(ShardsError, ValueError):
    """A source that cannot be read as it is; the message is one line and names the file."""


@dataclass(frozen=True, kw_only=True)
class SourceListing:
    """The clips of a source, and what is not as its label tables say."""

    clips: tuple[Clip, ...]
    classes: tuple[str, ...] | None  # None = nothing is labelled
    missing: tuple[str, ...] = ()  # listed in a table, but there is no such audio
    extra: tuple[str, ...] = ()  # audio that no table lists: left out
    unlabelled: tuple[str, ...] = ()  # audio that should have labels and has none
    notes: tuple[str, ...] = ()  # counts and doubts, one line each


Source = Callable[[Store, Options], SourceListing]


def check_options(options: Options, known: Collection[str], source: str) -> None:
    """Refuse options that the source does not read."""
    for name in sorted(options.keys() - set(known)):
        nearest = get_close_matches(name, known, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        known_names = ", ".join(sorted(known)) or "none"
        raise SourceError(
            f"source {source}: unknown option {name!r}, expected one of: {known_names}{hint}"
        )


def flag(options: Options, name: str) -> bool:
    """An option that is true or false; false where it is not given."""
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise SourceError(f"option {name}: got {options[name]!r}; expected true or false")
    return value == "true"


def audio_names(store: Store) -> list[str]:
    """The audio files of a store, sorted, without hidden ones; none at all is an error."""
    names = [name for name in store.names() if is_audio(name) and not is_hidden(name)]
    if not names:
        raise SourceError(
            f"{store.root}: got no audio files ({', '.join(AUDIO_SUFFIXES)}); expected a folder "
            "of recordings: check the path"
        )
    return names


def is_audio(name: str) -> bool:
    """Whether the name ends like an audio file's."""
    return name.lower().endswith(AUDIO_SUFFIXES)


def is_hidden(name: str) -> bool:
    """Whether the file, or a folder that it is in, starts with a dot."""
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def stem(name: str) -> str:
    """The name without an audio suffix; other dots stay (`Yabc_460.000_470.000`)."""
    return str(PurePosixPath(name).with_suffix("")) if is_audio(name) else name


def by_stem(names: Iterable[str]) -> dict[str, str]:
    """Audio names by their stem: tables often name `.wav` what is stored as `.flac`."""
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(stem(name), name)
        if other != name:
            raise SourceError(f"{other} and {name} differ in their suffix alone: remove one")
    return found


def read_text(store: Store, name: str) -> str:
    """A text file in UTF-8, with or without a byte order mark."""
    try:
        return store.read(name).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{store.path(name)}: not UTF-8 ({error.reason} at byte {error.start}): convert it"
        ) from error


def read_table(store: Store, name: str, required: Sequence[str] = ()) -> list[Row]:
    """A TSV, CSV or JSONL table as rows of strings; empty and missing cells are ''.

    A JSON list of labels becomes one string with commas, as the other formats hold it.
    """
    text = read_text(store, name)
    path = store.path(name)
    if name.endswith(".jsonl"):
        rows = [_json_row(line, f"{path} line {n}") for n, line in _lines(text)]
    else:
        rows = separated_rows(text, "\t" if name.endswith(".tsv") else ",", path)
    for number, row in enumerate(rows, start=1):
        if missing := [column for column in required if column not in row]:
            raise SourceError(
                f"{path} row {number}: got the columns {', '.join(row)}; expected also "
                f"{', '.join(missing)}: add them"
            )
    return rows


def read_yaml(store: Store, name: str) -> Any:
    """A YAML file's plain values; anything else in it is an error."""
    # the same safe loader, in C where libyaml is there: ten times as fast
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = read_text(store, name)
    try:
        return yaml.load(text, Loader=loader)  # noqa: S506
    except (yaml.YAMLError, ValueError) as error:  # the latter of dates that are none
        raise SourceError(
            f"{store.path(name)}: not plain YAML ({' '.join(str(error).split())}): restore or "
            "remove the file"
        ) from error


def split_labels(cell: str) -> tuple[str, ...]:
    """The labels of a cell with commas between, each once, in their order."""
    return tuple(dict.fromkeys(label for part in cell.split(",") if (label := part.strip())))


def event(onset: str, offset: str, label: str, where: str) -> Event:
    """An event from a table's cells; `where` is what an error calls the row."""
    try:
        onset_s, offset_s = float(onset), float(offset)
    except ValueError as error:
        raise SourceError(
            f"{where}: got onset {onset!r} and offset {offset!r}; expected seconds: correct the row"
        ) from error
    return Event(onset_s, offset_s, label)


def in_time(events: Iterable[Event]) -> tuple[Event, ...]:
    """Events by onset, offset and label, so that the order of a table's rows does not matter."""
    return tuple(sorted(events, key=lambda each: (each.onset_s, each.offset_s, each.label)))


def integer(cell: str, where: str) -> int:
    """A whole number from a table's cell."""
    try:
        return int(cell)
    except ValueError as error:
        raise SourceError(f"{where}: got {cell!r}; expected a whole number") from error


def share_note(present: int, published: int, what: str) -> str:
    """How much of a published set is there, in words."""
    share = f" ({100 * present / published:.1f} %)" if present < published else ""
    return f"{present} of {published} {what} present{share}"


def separated_rows(text: str, delimiter: str, path: str) -> list[Row]:
    """The rows of a TSV or CSV text; `path` is what errors call it."""
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter) if any(line)]
    except csv.Error as error:
        raise SourceError(f"{path}: no readable table ({error}): correct it") from error
    if not lines:
        raise SourceError(f"{path}: got an empty table; expected a header row: fill or remove it")
    header = [cell.strip() for cell in lines[0]]
    for number, line in enumerate(lines[1:], start=2):
        if len(line) > len(header):
            raise SourceError(
                f"{path} row {number}: got {len(line)} cells under {len(header)} columns; "
                "expected one each: quote cells that hold the separator"
            )
    return [
        dict(zip(header, [*map(str.strip, line), *[""] * (len(header) - len(line))], strict=True))
        for line in lines[1:]
    ]


def _json_row(line: str, where: str) -> Row:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise SourceError(f"{where}: no JSON ({error}): correct the line") from error
    if not isinstance(values, dict):
        raise SourceError(f"{where}: got {type(values).__name__}; expected one object a line")
    return {name: _cell(value, where) for name, value in values.items()}


def _cell(value: Any, where: str) -> str:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if any("," in item for item in value):
            raise SourceError(f"{where}: got the labels {value}; expected labels without commas")
        return ",".join(value)
    if isinstance(value, dict | list):
        raise SourceError(f"{where}: got a nested value; expected texts, numbers or labels")
    return "" if value is None else str(value)


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1."""
    return [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
