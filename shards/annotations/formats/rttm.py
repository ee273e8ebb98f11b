"""RTTM of NIST's evaluations: ten fields with spaces between, an object a line.

    SPEAKER file channel onset duration <NA> <NA> label score <NA>

Names hold no spaces: they become underscores. A file without events is a comment (`;;`).
"""

import re
from collections.abc import Iterable, Iterator

from shards.annotations.delimited import number, sound_event
from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    Pair,
    grouped,
)
from shards.annotations.format import Content, Format, number_text, time_text
from shards.tables.separated import numbered

NONE, KIND, TYPE = "<NA>", "type", "SPEAKER"
WITHOUT = ";; no events in "
# Kinds of objects that are not sounds in time
_NO_EVENTS = ("SPKR-INFO", "NOSCORE", "NO_RT_METADATA")


def recognises(content: Content) -> bool:
    """By the kind of object and the number of fields of the first line."""
    if content.first_line.startswith(WITHOUT):
        return True
    lines = (text for _, text in numbered(content.text) if text[:2] != ";;")
    cells = next(lines, "").split()
    return len(cells) in (9, 10) and cells[0].isupper() and cells[5] == NONE


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """A line an event."""
    for file in files:
        name = _word(file.file)
        for event in file.events:
            cells = [
                event.extra.get(KIND, TYPE),
                name,
                str(1 if event.channel is None else event.channel),
                time_text(event.onset_s),
                time_text(event.offset_s - event.onset_s),
                NONE,
                NONE,
                _word(event.label),
                NONE if event.score is None else number_text(event.score),
                NONE,
            ]
            yield (" ".join(cells) + "\n").encode()
        if not file.events:
            yield f"{WITHOUT}{name}\n".encode()


def _word(text: str) -> str:
    return re.sub(r"\s", "_", text) if text.strip() else NONE


def read(content: Content) -> list[AnnotatedFile]:
    """Every object that has an onset and a duration."""

    def pair(line: tuple[int, str]) -> Pair:
        where, text = f"{content.path} line {line[0]}", line[1]
        if text.startswith(WITHOUT):
            return text.removeprefix(WITHOUT).strip(), None
        cells = text.split()
        if not cells or text.startswith(";;") or cells[0] in _NO_EVENTS:
            return None
        if len(cells) not in (9, 10):
            raise AnnotationError(
                f"{where}: got {len(cells)} fields; expected the 10 of RTTM: correct it"
            )
        onset_s, duration_s = (number(cell, where, "time") for cell in cells[3:5])
        fields = {"onset_s": repr(onset_s), "offset_s": repr(onset_s + duration_s)}
        fields |= {"label": _given(cells[7]), "score": _given(cells[8])}
        fields["channel"] = _given(cells[2])
        return cells[1], sound_event(fields, {KIND: cells[0]} if cells[0] != TYPE else {}, where)

    return grouped(numbered(content.text), pair)


def _given(cell: str) -> str:
    return "" if cell == NONE else cell


RTTM = Format(
    title="RTTM",
    suffix=".rttm",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"score", "channel"}),
    changes_text=r"\s",
)
