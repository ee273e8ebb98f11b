"""BirdNET's CSV tables: start, end, scientific and common name, confidence, file."""

from collections.abc import Iterable, Iterator, Mapping

from shards.annotations.delimited import LINE_BREAK, header, rows, sound_event, spelt, table_text
from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    Columns,
    Pair,
    grouped,
)
from shards.annotations.format import Content, Format

SCIENTIFIC = "Scientific name"
NAMES = {"onset_s": "Start (s)", "offset_s": "End (s)", "label": "Common name"}
NAMES |= {"score": "Confidence", "file": "File"}
COLUMNS = (*NAMES.values(), SCIENTIFIC)
NUMBERS = ("Start (s)", "End (s)", "Confidence")
OWN = {"low_hz", "high_hz", "channel", "annotator", "notes"}


def recognises(content: Content) -> bool:
    """By the names of its columns."""
    separator, content = spelt(content, ",", COLUMNS)
    return {"Start (s)", "End (s)", "Common name"} <= set(header(content, separator))


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """The table, with further columns behind; a file without events is a row with its name."""
    fields = tuple(dict.fromkeys((*filled.fields, "score")))
    extra = tuple(dict.fromkeys((SCIENTIFIC, *filled.extra)))
    yield from table_text(files, Columns(fields, extra), ",", NAMES)


def read(content: Content) -> list[AnnotatedFile]:
    """The label is the common name, or the scientific one where that is all there is."""
    separator, content = spelt(content, ",", COLUMNS)
    columns = header(content, separator)
    names = {field: name for field, name in NAMES.items() if name in columns}
    names |= {field: field for field in OWN if field in columns}

    def pair(each: tuple[str, Mapping[str, str]]) -> Pair:
        where, row = each
        file = row.get(NAMES["file"], "") or content.audio
        cells = {field: row[name] for field, name in names.items() if field != "file"}
        cells["label"] = cells["label"] or row.get(SCIENTIFIC, "")
        extra = {name: cell for name, cell in row.items() if name not in names.values()}
        empty = not any(cells[name] for name in ("onset_s", "offset_s", "label"))
        return file, None if empty else sound_event(cells, extra, where)

    table = rows(content, separator, NUMBERS if separator != "," else ())
    return grouped(table, pair) or [AnnotatedFile(file=content.audio)]


BIRDNET = Format(
    title="BirdNET CSV",
    suffix=".BirdNET.results.csv",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
    changes_text=LINE_BREAK,
)
