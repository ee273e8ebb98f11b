"""Kaleidoscope's CSV tables (`cluster.csv`, `id.csv`), and those that BirdNET writes like them.

A detection is `OFFSET` and `DURATION` in a file of `INDIR/FOLDER`; its label is the manual
identification where there is one, else the program's. Bat analyses give frequencies in kilohertz:
they are told by their columns `Fc` and `Sc`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from shards.annotations.delimited import (
    LINE_BREAK,
    header,
    matched,
    number,
    rows,
    sound_event,
    spelt,
    table_text,
)
from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    Columns,
    Pair,
    SoundEvent,
    grouped,
)
from shards.annotations.format import Content, Format

NAMES = {"file": "IN FILE", "channel": "CHANNEL"}
NAMES |= {"onset_s": "OFFSET", "duration_s": "DURATION", "low_hz": "Fmin", "high_hz": "Fmax"}
NAMES |= {"label": "MANUAL ID"}
LABELS = ("manual id", "auto id*", "auto id", "top1match*", "top1match", "common_name")
KNOWN = {
    "onset_s": ("offset",),
    "duration_s": ("duration",),
    "low_hz": ("fmin",),
    "high_hz": ("fmax",),
    "channel": ("channel",),
    "score": ("score", "confidence"),
    "annotator": ("annotator",),
    "notes": ("notes",),
}
PLACE = ("INDIR", "FOLDER", "IN FILE")
COLUMNS = (*PLACE, *NAMES.values(), "Fc", "Sc")
NUMBERS = ("onset_s", "duration_s", "low_hz", "high_hz", "score")


def recognises(content: Content) -> bool:
    """By the names of its columns."""
    separator, content = spelt(content, ",", COLUMNS)
    return {"IN FILE", "OFFSET", "DURATION"} <= set(header(content, separator))


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """The table; a file without events is a row with its name. `IN FILE` may hold folders."""
    extra = tuple(dict.fromkeys((*filled.extra, "INDIR", "FOLDER")))
    counted = (replace(file, events=tuple(map(_from_0, file.events))) for file in files)
    yield from table_text(counted, Columns(filled.fields, extra), ",", NAMES)


def _from_0(event: SoundEvent) -> SoundEvent:
    """With its channel counted from 0, as the program counts."""
    return event if event.channel is None else replace(event, channel=event.channel - 1)


def read(content: Content) -> list[AnnotatedFile]:
    """Detections by file; a row without a duration is a file without events."""
    separator, content = spelt(content, ",", COLUMNS)
    columns = header(content, separator)
    names = matched(columns, KNOWN)
    labels = [name for alias in LABELS for name in columns if name.lower() == alias]
    unit_hz = 1000 if {"Fc", "Sc"} <= set(columns) else 1

    def pair(each: tuple[str, Mapping[str, str]]) -> Pair:
        where, row = each
        return _file(row, content), _event(row, names, labels, unit_hz, where)

    numbers = [names[field] for field in NUMBERS if field in names] if separator != "," else ()
    return grouped(rows(content, separator, numbers), pair) or [AnnotatedFile(file=content.audio)]


def _file(row: Mapping[str, str], content: Content) -> str:
    folder = row.get("FOLDER", "").replace("\\", "/")
    return str(PurePosixPath(folder, row["IN FILE"])) if row["IN FILE"] else content.audio


def _event(
    row: Mapping[str, str], names: Mapping[str, str], labels: list[str], unit_hz: int, where: str
) -> SoundEvent | None:
    cells: dict[str, Any] = {field: row[name] for field, name in names.items()}
    duration = cells.pop("duration_s", "")
    if not cells["onset_s"] and not duration:
        return None
    onset_s = number(cells["onset_s"] or "0", where, "OFFSET")
    cells["offset_s"] = repr(onset_s + number(duration, where, "DURATION"))
    for name in ("low_hz", "high_hz"):
        if cells.get(name):
            cells[name] = repr(unit_hz * number(cells[name], where, names[name]))
    if cells.get("channel"):
        cells["channel"] = repr(1 + number(cells["channel"], where, "CHANNEL"))
    label = next((name for name in labels if row[name]), None)
    cells["label"] = row[label] if label is not None else ""
    used = {*names.values(), label, *PLACE}
    extra = {name: cell for name, cell in row.items() if name not in used}
    return sound_event(cells, extra, where)


KALEIDOSCOPE = Format(
    title="Kaleidoscope CSV",
    suffix=".kaleidoscope.csv",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
    changes_text=LINE_BREAK,
)
