"""Detected events as text: TSV and CSV tables, JSON, and label tracks for Audacity.

A format turns files into pieces of text, one file's events as soon as they are known. Times are
in seconds and rounded to the microsecond, scores to four digits. Text is always valid Unicode:
bytes of a file name that are not UTF-8 are written as backslash escapes (`\\udce9`).
"""

import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from cluster.storage.filesystems import absolute
from pipelines.runtime.errors import PipelineError
from shards.io.store import Store

COLUMNS = ("filename", "onset", "offset", "event_label", "score")  # DESED's, and the score


class FormatError(PipelineError):
    """A format that is not known, or does not fit what is to be written."""


@dataclass(frozen=True, kw_only=True)
class DetectedEvent:
    """One event of one file, `onset_s < offset_s`, both from the start of the file.

    `score` is the highest smoothed frame probability inside the event, or a box's confidence: at
    any threshold below it, some of the event, or the whole box, would still be found.
    """

    file: str
    onset_s: float
    offset_s: float
    label: str
    score: float


@dataclass(frozen=True, kw_only=True)
class FileEvents:
    """What was found in a file; `error` says why nothing could be, for a file that is left out.

    `low_rate_hz` is the file's rate where that is less than the model has learnt from.
    """

    file: str
    events: tuple[DetectedEvent, ...] = ()
    error: str | None = None
    low_rate_hz: int | None = None


@dataclass(frozen=True, kw_only=True)
class Format:
    """How events are written.

    Args:
        suffix: of a file that holds them.
        pieces: events of files to pieces of one text.
        one_file: whether a text can only tell the events of a single file.
    """

    suffix: str
    pieces: Callable[[Iterable[FileEvents]], Iterator[str]]
    one_file: bool = False


def as_tsv(files: Iterable[FileEvents]) -> Iterator[str]:
    """A table as DESED has it; a cell with a tab, newline or quote is quoted as in CSV."""
    return _table(files, "\t")


def as_csv(files: Iterable[FileEvents]) -> Iterator[str]:
    """The same table with commas (RFC 4180, lines end with a newline alone)."""
    return _table(files, ",")


def _table(files: Iterable[FileEvents], delimiter: str) -> Iterator[str]:
    yield delimiter.join(COLUMNS) + "\n"
    for found in files:
        if found.events:
            yield "".join(_row(event, delimiter) for event in found.events)


def _row(event: DetectedEvent, delimiter: str) -> str:
    file, label = (_quoted(_unicode(text), delimiter) for text in (event.file, event.label))
    cells = (file, f"{event.onset_s:.6f}", f"{event.offset_s:.6f}", label, f"{event.score:.4f}")
    return delimiter.join(cells) + "\n"


def _quoted(text: str, delimiter: str) -> str:
    # Not the csv module: before Python 3.13 it leaves a lone carriage return unquoted.
    if re.search(rf'["\r\n{delimiter}]', text) is None:
        return text
    return '"' + text.replace('"', '""') + '"'


def as_json(files: Iterable[FileEvents]) -> Iterator[str]:
    """One JSON list of objects with the table's columns as keys, one object a line."""
    before = "["
    for found in files:
        for event in found.events:
            yield f"{before}\n{json.dumps(_object(event), ensure_ascii=False)}"
            before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _object(event: DetectedEvent) -> dict[str, Any]:
    times = (round(event.onset_s, 6), round(event.offset_s, 6))
    values = (_unicode(event.file), *times, _unicode(event.label), round(event.score, 4))
    return dict(zip(COLUMNS, values, strict=True))


def as_audacity(files: Iterable[FileEvents]) -> Iterator[str]:
    """A label track of one file: onset, offset and label with tabs between, no header.

    Audacity knows no quotes: tabs and newlines in a label become spaces.
    """
    for found in files:
        for event in found.events:
            label = re.sub(r"\s", " ", _unicode(event.label))
            yield f"{event.onset_s:.6f}\t{event.offset_s:.6f}\t{label}\n"


def _unicode(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


FORMATS: Mapping[str, Format] = {
    "tsv": Format(suffix=".tsv", pieces=as_tsv),
    "csv": Format(suffix=".csv", pieces=as_csv),
    "json": Format(suffix=".json", pieces=as_json),
    "audacity": Format(suffix=".txt", pieces=as_audacity, one_file=True),
}


def chosen_format(name: str, files: int, one_text_each: bool) -> Format:
    """The format of a name, if it can tell the events of so many files.

    Raises:
        FormatError: there is no such format, or it takes one text for each file.
    """
    if name not in FORMATS:
        raise FormatError(f"format {name!r}: expected one of {', '.join(FORMATS)}")
    if FORMATS[name].one_file and files > 1 and not one_text_each:
        raise FormatError(
            f"got {files} files, and {name} text tells the events of one; "
            "give --output-dir to get a text for each, or take another format"
        )
    return FORMATS[name]


def write_together(results: Iterable[FileEvents], text_format: Format, out: TextIO) -> list[str]:
    """One text of all files, each file as soon as it comes; returns the errors among them."""
    errors: list[str] = []
    for piece in text_format.pieces(_good(results, errors)):
        out.write(piece)
        out.flush()
    return errors


def write_each(
    results: Iterable[FileEvents], text_format: Format, folder: Store, files: Sequence[str]
) -> list[str]:
    """A text for each of the files, under the names of `below_common`; returns the errors."""
    errors: list[str] = []
    names = below_common(files)
    for found in _good(results, errors):
        text = "".join(text_format.pieces([found]))
        folder.write(_unicode(names[found.file]) + text_format.suffix, text.encode())
    return errors


def below_common(files: Sequence[str]) -> dict[str, str]:
    """Each file's name below the deepest folder that holds all of them; no two are the same."""
    parts = {file: _parts(file) for file in files}
    levels = zip(*(of_file[:-1] for of_file in parts.values()), strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda level: len(set(level)) == 1, levels))
    return {file: "/".join(of_file[common:]) for file, of_file in parts.items()}


def _parts(file: str) -> list[str]:
    where = absolute(file)
    where = where if "://" in where else os.path.normpath(where)
    return [part for part in where.split("/") if part]


def _good(results: Iterable[FileEvents], errors: list[str]) -> Iterator[FileEvents]:
    for found in results:
        if found.error is None:
            yield found
        else:
            errors.append(found.error)
