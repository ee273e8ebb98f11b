"""Raven's selection tables, those of BirdNET among them: one file each.

Times are from the start of what Raven had open. A table of several files names them in the column
`Begin File` or `Begin Path`, and says in `File Offset (s)` where in it a selection begins. See
"Selection Tables" in the manual of Raven Pro.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath

from shards.annotations.delimited import (
    LINE_BREAK,
    field_text,
    header,
    line,
    matched,
    number,
    rows,
    sound_event,
    spelt,
)
from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    Pair,
    SoundEvent,
    grouped,
)
from shards.annotations.format import Content, Format, time_text

SELECTION, VIEW, BOX, SPAN = "Selection", "View", "Spectrogram 1", "Waveform 1"
FIRST = ("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)")
FREQUENCIES = ("Low Freq (Hz)", "High Freq (Hz)")
LAST = ("Begin File", "Annotation")
KNOWN = {
    "onset_s": ("begin time (s)",),
    "offset_s": ("end time (s)",),
    "low_hz": ("low freq (hz)",),
    "high_hz": ("high freq (hz)",),
    "channel": ("channel",),
    "label": (
        *("annotation", "label", "species", "common name", "species name", "species code"),
        *("class", "tags", "call type", "sound type", "type", "id"),
    ),
    "score": ("score", "confidence"),
    "annotator": ("annotator", "analyst"),
    "notes": ("notes", "comments"),
}
OTHERS = {"score": "Score", "annotator": "Annotator", "notes": "Notes"}
FILE_OFFSET = "File Offset (s)"
COLUMNS = (*FIRST, FILE_OFFSET, "Begin File", "Begin Path")
NUMBERS = ("onset_s", "offset_s", "low_hz", "high_hz", "score")


def recognises(content: Content) -> bool:
    """By the names of its columns."""
    content = spelt(content, "\t", COLUMNS)[1]
    return {"Selection", "Begin Time (s)", "End Time (s)"} <= set(header(content, "\t"))


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """Selections in the spectrogram, or in the waveform where they have no frequencies."""
    others = [name for name in OTHERS if name in filled.fields]
    own = {*FIRST, *FREQUENCIES, *LAST, *OTHERS.values()}
    extra = [name for name in filled.extra if name not in own]
    names = [*FIRST, *FREQUENCIES, *LAST, *(OTHERS[name] for name in others), *extra]
    yield line(names, "\t").encode()
    for file in files:
        for count, event in enumerate(file.events, start=1):
            boxed = event.low_hz is not None or event.high_hz is not None
            cells = [
                str(count),
                event.extra.get(VIEW, BOX if boxed else SPAN),
                str(1 if event.channel is None else event.channel),
                time_text(event.onset_s),
                time_text(event.offset_s),
                field_text(event, "low_hz"),
                field_text(event, "high_hz"),
                PurePosixPath(file.file).name,
                event.label,
                *(field_text(event, name) for name in others),
                *(event.extra.get(name, "") for name in extra),
            ]
            yield line(cells, "\t").encode()


def read(content: Content) -> list[AnnotatedFile]:
    """Selections; of one that is in several views, that in the spectrogram."""
    content = spelt(content, "\t", COLUMNS)[1]
    columns = header(content, "\t")
    names = matched(columns, KNOWN)
    numbers = [names[field] for field in NUMBERS if field in names]
    table = list(rows(content, "\t", (*numbers, FILE_OFFSET)))
    if table and "label" not in names:
        raise AnnotationError(
            f"{content.path}: got the columns {', '.join(columns)}; expected one that says what "
            "a selection is, such as Annotation: add it"
        )

    def place(row: Mapping[str, str]) -> tuple[str, ...]:
        """What a selection has in common in all views."""
        return row[SELECTION], row[names["onset_s"]], row[names["offset_s"]], _file(row, content)

    boxed = {place(row) for _, row in table if row.get(VIEW, "").startswith("Spectrogram")}

    def pair(each: tuple[str, Mapping[str, str]]) -> Pair:
        where, row = each
        if place(row) in boxed and row.get(VIEW, "").startswith("Waveform"):
            return None
        return _file(row, content), _event(row, names, where)

    found = grouped(table, pair)
    return found or [AnnotatedFile(file=content.audio)]


def _file(row: Mapping[str, str], content: Content) -> str:
    for column in ("Begin File", "Begin Path"):
        if name := row.get(column, "").strip():
            return PureWindowsPath(name).name if "\\" in name else PurePosixPath(name).name
    return content.audio


def _event(row: Mapping[str, str], names: Mapping[str, str], where: str) -> SoundEvent:
    cells = {field: row[name] for field, name in names.items()}
    if inside := row.get(FILE_OFFSET, "").strip():
        begin, end = (number(cells[name], where, name) for name in ("onset_s", "offset_s"))
        onset_s = number(inside, where, FILE_OFFSET)
        cells |= {"onset_s": repr(onset_s), "offset_s": repr(onset_s + end - begin)}
    used = {*names.values(), SELECTION, FILE_OFFSET, "Begin File", "Begin Path"}
    extra = {name: cell for name, cell in row.items() if name not in used}
    if extra.get(VIEW) in (BOX, SPAN):
        del extra[VIEW]
    return sound_event(cells, extra, where)


RAVEN = Format(
    title="Raven selection table",
    suffix=".selections.txt",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
    one_file=True,
    changes_text=LINE_BREAK,
)
