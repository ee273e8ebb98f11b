"""JSON: a list of objects, or one object a line, with the columns of the tables as keys.

A file without events is an object with its name alone and null for the rest.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    Pair,
    grouped,
)
from shards.annotations.format import Content, Format, values_of
from shards.annotations.formats.tables import NAMES, columns, event_of_row
from shards.tables.separated import numbered


def objects(file: AnnotatedFile, filled: Columns) -> Iterator[str]:
    """An object an event, as JSON; keys of what an event lacks are left out."""
    for event in file.events:
        times = (round(event.onset_s, 6), round(event.offset_s, 6))
        values: dict[str, Any] = dict(
            zip(NAMES.values(), (file.file, *times, event.label), strict=False)
        )
        values |= {
            NAMES.get(name, name): value
            for name in filled.fields
            if (value := getattr(event, name)) is not None
        }
        yield json.dumps(values | dict(event.extra), ensure_ascii=False)
    if not file.events:
        yield json.dumps(
            {NAMES["file"]: file.file, "onset": None, "offset": None, "event_label": None}
        )


def write_list(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One list, an object a line."""
    before = "["
    for file in files:
        for text in objects(file, filled):
            yield f"{before}\n{text}".encode()
            before = ","
    yield b"[]\n" if before == "[" else b"\n]\n"


def write_lines(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """An object a line."""
    for file in files:
        yield "".join(f"{text}\n" for text in objects(file, filled)).encode()


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and columns(tuple(value)) is not None


def is_list(content: Content) -> bool:
    """Whether it is a list of events; an empty one has none."""
    values = content.json
    return isinstance(values, list) and (not values or _is_event(values[0]))


def is_lines(content: Content) -> bool:
    """Whether the first line is one event."""
    if not content.first_line.startswith("{") or (
        content.json is not None and "\n" in content.text.strip()
    ):
        return False
    try:
        return _is_event(json.loads(content.first_line))
    except (ValueError, RecursionError):
        return False


def read_list(content: Content) -> list[AnnotatedFile]:
    """A list of objects."""
    values = content.json
    if not isinstance(values, list):
        raise AnnotationError(f"{content.path}: expected a JSON list of events: correct it")
    return grouped(
        enumerate(values, start=1), lambda item: _pair(f"{content.path} item {item[0]}", item[1])
    )


def read_lines(content: Content) -> list[AnnotatedFile]:
    """An object a line; empty lines are left out."""

    def pair(line: tuple[int, str]) -> Pair:
        where = f"{content.path} line {line[0]}"
        try:
            value = values_of(line[1], where)
        except AnnotationError:
            raise
        except (ValueError, RecursionError) as error:
            raise AnnotationError(f"{where}: no JSON ({error}): correct it") from error
        return _pair(where, value)

    return grouped(numbered(content.text), pair)


def _pair(where: str, value: Any) -> Pair:
    names = columns(tuple(value)) if isinstance(value, dict) else None
    if names is None or "file" not in names:
        raise AnnotationError(
            f"{where}: got {json.dumps(value)[:80]}; expected an object with filename, onset, "
            "offset and event_label: correct it"
        )
    row = {name: _cell(cell) for name, cell in value.items()}
    return row[names["file"]], event_of_row(row, names, where)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


JSON = Format(
    title="JSON list",
    suffix=".json",
    recognises=is_list,
    read=read_list,
    write=write_list,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
)
JSONL = Format(
    title="JSON Lines",
    suffix=".jsonl",
    recognises=is_lines,
    read=read_lines,
    write=write_lines,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
)
