"""Audacity's label tracks: onset, offset and label with tabs between, no header, one file each.

A label of a spectral selection has a second line: a backslash, its lowest and highest frequency;
a negative one is none. See "Importing and Exporting Labels" in Audacity's manual.
"""

import re
from collections.abc import Iterable, Iterator

from shards.annotations.delimited import number, sound_event
from shards.annotations.event import AnnotatedFile, AnnotationError, Columns
from shards.annotations.format import Content, Format, number_text, time_text
from shards.errors import Faults
from shards.tables.separated import numbered

_NUMBER = r"-?\d+(?:[.,]\d+)?"  # some languages write a decimal comma
_LABEL = re.compile(rf"({_NUMBER})\t({_NUMBER})(?:\t(.*))?")
_BAND = re.compile(rf"\\\t({_NUMBER})\t({_NUMBER})")


def recognises(content: Content) -> bool:
    """Whether the first line is a label; a file of nothing is a track without labels."""
    return not content.text.strip() or _LABEL.fullmatch(content.first_line) is not None


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One line an event, two where it has frequencies; whitespace in labels becomes spaces."""
    for file in files:
        for event in file.events:
            label = re.sub(r"\s", " ", event.label)
            text = f"{time_text(event.onset_s)}\t{time_text(event.offset_s)}\t{label}\n"
            if event.low_hz is not None or event.high_hz is not None:
                band = (event.low_hz, event.high_hz)
                cells = [number_text(-1.0 if each is None else each) for each in band]
                text += "\t".join(["\\", *cells]) + "\n"
            yield text.encode()


def read(content: Content) -> list[AnnotatedFile]:
    """The labels of one file, in their order."""
    found: list[dict[str, str]] = []
    wheres: list[str] = []
    faults = Faults(AnnotationError)
    for count, text in numbered(content.text):
        where = f"{content.path} line {count}"
        if (label := _LABEL.fullmatch(text)) is not None:
            onset, offset = (cell.replace(",", ".") for cell in label.group(1, 2))
            found.append({"onset_s": onset, "offset_s": offset, "label": label.group(3) or ""})
            wheres.append(where)
        elif found and (band := _BAND.fullmatch(text)) is not None:
            with faults.noted():
                for field, cell in zip(("low_hz", "high_hz"), band.groups(), strict=True):
                    cell = cell.replace(",", ".")
                    if number(cell, where, field) >= 0:
                        found[-1][field] = cell
        else:
            faults.errors.append(
                AnnotationError(
                    f"{where}: got {text[:80]!r}; expected onset, offset and label with tabs "
                    "between, as Audacity exports labels: correct it"
                )
            )
    events = []
    for cells, where in zip(found, wheres, strict=True):
        with faults.noted():
            events.append(sound_event(cells, {}, where))
    faults.check()
    return [AnnotatedFile(file=content.audio, events=tuple(events))]


AUDACITY = Format(
    title="Audacity labels",
    suffix=".txt",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"low_hz", "high_hz"}),
    names_files=False,
    one_file=True,
    changes_text=r"[^\S ]",
)
