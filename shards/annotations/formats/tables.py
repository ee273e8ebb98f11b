"""Tables of events as DESED and DCASE have them: TSV, and CSV with commas or semicolons.

Columns `filename, onset, offset, event_label`, then `score` and others where there are any. A row
with a file name alone is a file without events, as in DESED's own tables.
"""

import functools
from collections.abc import Mapping
from dataclasses import replace

from shards.annotations.delimited import LINE_BREAK, header, matched, rows, sound_event, table_text
from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Pair,
    SoundEvent,
    grouped,
)
from shards.annotations.format import Content, Format
from shards.clip import is_empty
from shards.tables.separated import separator_of

NAMES = {"file": "filename", "onset_s": "onset", "offset_s": "offset", "label": "event_label"}
NAMES |= {"score": "score"}
# What others call the same columns, in lower case; the first that is there is taken.
KNOWN = {
    "file": ("filename", "file", "filepath", "path", "audio", "recording"),
    "onset_s": ("onset", "onset_s", "start", "start_s", "start_time", "begin"),
    "offset_s": ("offset", "offset_s", "end", "end_s", "end_time", "stop"),
    "label": ("event_label", "label", "class", "event", "species"),
    "score": ("score", "confidence", "probability"),
    "low_hz": ("low_hz", "low_freq", "f_low"),
    "high_hz": ("high_hz", "high_freq", "f_high"),
    "channel": ("channel",),
    "annotator": ("annotator",),
    "notes": ("notes", "comment", "comments"),
}
NEEDED = ("onset_s", "offset_s", "label")
NUMBERS = ("onset_s", "offset_s", "score", "low_hz", "high_hz")


def columns(names: tuple[str, ...]) -> dict[str, str] | None:
    """Which column is which field; None of a table that is not one of events."""
    found = matched(names, KNOWN)
    return found if all(field in found for field in NEEDED) else None


def layout(content: Content) -> tuple[str, Content]:
    """The separator of a table, by its header, and the table without a line that only names it."""
    names = {alias for aliases in KNOWN.values() for alias in aliases}
    separator, text = separator_of(content.text, "\t", names, content.path)
    if text is content.text:
        return separator, content
    return separator, replace(content, data=text.encode("utf-8", "surrogatepass"))


def recognises(content: Content, delimiters: str) -> bool:
    """Whether the header has onset, offset and label, and is not another program's."""
    separator, table = layout(content)
    return separator in delimiters and columns(header(table, separator)) is not None


def event_of_row(row: Mapping[str, str], names: Mapping[str, str], where: str) -> SoundEvent | None:
    """The event of a row; None of one that has neither times nor label."""
    if all(is_empty(row[names[field]].strip()) for field in NEEDED):
        return None
    cells = {field: row[name] for field, name in names.items() if field != "file"}
    extra = {name: cell for name, cell in row.items() if name not in names.values()}
    return sound_event(cells, extra, where)


def read(content: Content) -> list[AnnotatedFile]:
    """A table with any of the names above."""
    separator, content = layout(content)
    names = columns(header(content, separator))
    if names is None:
        raise AnnotationError(
            f"{content.path}: got the columns {content.first_line!r}; expected filename, onset, "
            "offset and event_label: correct the header"
        )

    def pair(each: tuple[str, Mapping[str, str]]) -> Pair:
        where, row = each
        file = row[names["file"]] if "file" in names else content.audio
        return file, event_of_row(row, names, where)

    decimals = [names[field] for field in NUMBERS if field in names]
    table = rows(content, separator, decimals if separator != "," else ())
    found = grouped(table, pair)
    if not found and "file" not in names:
        return [AnnotatedFile(file=content.audio)]
    return found


def _format(title: str, delimiters: str, suffix: str) -> Format:
    return Format(
        title=title,
        suffix=suffix,
        recognises=functools.partial(recognises, delimiters=delimiters),
        read=read,
        write=functools.partial(table_text, delimiter=delimiters[0], names=NAMES),
        holds=frozenset(OPTIONAL_FIELDS),
        holds_extra=True,
        changes_text=LINE_BREAK,
    )


TSV = _format("TSV table (DESED, DCASE)", "\t", ".tsv")
CSV = _format("CSV table", ",;", ".csv")
