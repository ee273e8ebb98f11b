"""Annotations beside recordings: which file is about which recording, in any format that is known.

A file belongs to the recordings that it names, or else to the one that it is named after:
`day1.txt`, `day1.wav.txt`, `day1_labels.txt` and `day1.Table.1.selections.txt` are all about
`day1.wav`, in the same folder or, where only one recording has that name, in another.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from shards.annotations.event import AnnotatedFile, AnnotationError, SoundEvent
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, recognise
from shards.clip import Event, nfc
from shards.errors import told
from shards.io.store import Store
from shards.packing.plan import Skipped
from shards.sources._matching import Files
from shards.sources._tables import by_stem, in_time, is_audio, is_hidden, stem

# What files of annotations are called; which format one is in, its content says.
SUFFIXES = (
    *(".txt", ".tsv", ".csv", ".tab", ".json", ".jsonl", ".parquet", ".textgrid", ".eaf", ".svl"),
    *(".xml", ".rttm", ".jams", ".aoef"),
)


class NamedAfter:
    """Finds the recording that a file of annotations is named after."""

    def __init__(self, audio: Iterable[str]) -> None:
        self._by_path: dict[str, str] = {}
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name, file in by_stem(audio).items():
            self._by_path[nfc(name)] = file
            self._by_base[PurePosixPath(nfc(name)).name].append(file)

    def find(self, name: str) -> str | None:
        """The recording; None where there is none, or several in other folders."""
        path = PurePosixPath(nfc(name))
        prefix = "" if str(path.parent) == "." else f"{path.parent}/"
        bases = list(_shorter(path.name))
        for base in bases:
            if (found := self._by_path.get(prefix + base)) is not None:
                return found
        for base in bases:
            if len(elsewhere := self._by_base.get(base, [])) == 1:
                return elsewhere[0]
        return None


# How people name labels after a recording: rec_labels.txt, "rec Label Track.txt".
_LABELS = re.compile(r"[ _-]+(labels?|label[ _-]?track|annotations?)$", re.IGNORECASE)


def _shorter(base: str) -> Iterator[str]:
    """A name without one, two ... of the parts that dots end, and without an audio suffix.

    Then the same without a word for labels at their ends, since recordings may be called so too.
    """
    names = []
    while base:
        names.append(stem(base))
        base = base.rpartition(".")[0]
    yield from names
    for name in names:
        if (bare := _LABELS.sub("", name)) and bare != name:
            yield bare


def annotation_names(store: Store) -> list[str]:
    """Names that files of annotations may have, sorted; hidden ones and audio are left out."""
    return [
        name
        for name in store.names()
        if name.lower().endswith(SUFFIXES) and not is_audio(name) and not is_hidden(name)
    ]


@dataclass(frozen=True, kw_only=True)
class ReadFile:
    """What one file of annotations holds; `format` is None where it is in none that is known."""

    name: str
    format: str | None
    files: tuple[AnnotatedFile, ...] = ()


def read_annotations(store: Store, name: str, named_after: NamedAfter) -> ReadFile:
    """Read a file by what it holds; recordings have the names that it gives them.

    A file that names no recording is about the one that it is named after; where there is none,
    about one with its own name without suffix.

    Raises:
        AnnotationError: it is in a format that is known, and cannot be read.
    """
    about = named_after.find(name)
    base = str(PurePosixPath(name).with_suffix(""))
    content = Content(data=store.read(name), path=store.path(name), audio=about or base)
    found = recognise(content)
    if found is None:
        return ReadFile(name=name, format=None)
    return ReadFile(name=name, format=found, files=tuple(FORMATS[found].read(content)))


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """The annotations of a folder.

    Args:
        events: of each recording that somebody went through, by its name; sorted by time.
        missing: recordings that annotations name and that are not there.
        notes: counts and doubts, one line each.
        unusable: files that cannot be read, and why.
    """

    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unusable: tuple[Skipped, ...] = ()


def annotations_below(
    store: Store, audio: Sequence[str], unless: Collection[str] = ()
) -> Annotations:
    """All annotations in a folder, by recording; what several files say of one is put together.

    Args:
        store: the folder.
        audio: its recordings.
        unless: names of files that are something else.
    """
    named_after, files = NamedAfter(audio), Files(audio, "", root=store.root)
    events: dict[str, list[SoundEvent]] = defaultdict(list)
    formats: Counter[str] = Counter()
    missing: dict[str, None] = {}
    unknown, unusable = [], []
    for name in annotation_names(store):
        if name in unless:
            continue
        try:
            read = read_annotations(store, name, named_after)
        except AnnotationError as error:
            unusable.append(Skipped(name, str(error)))
            continue
        if read.format is None:
            unknown.append(name)
            continue
        formats[read.format] += 1
        for each in read.files:
            recording = _recording(each, read, named_after, files)
            if recording is None:
                missing[each.file] = None
            else:
                events[recording] += each.events
    notes = []
    if formats:
        kinds = ", ".join(f"{count} {name}" for name, count in sorted(formats.items()))
        notes.append(f"annotations of {len(events)} recordings, in files: {kinds}")
    if unknown:
        notes.append(f"not used, since in no format of annotations: {told(unknown)}")
    return Annotations(
        events={name: _strong(found) for name, found in sorted(events.items())},
        missing=tuple(missing),
        notes=tuple(notes),
        unusable=tuple(unusable),
    )


def _recording(
    file: AnnotatedFile, read: ReadFile, named_after: NamedAfter, files: Files
) -> str | None:
    assert read.format is not None
    beside = named_after.find(read.name)
    if not FORMATS[read.format].names_files:
        return beside
    folder = PurePosixPath(read.name).parent
    for name in (str(folder / file.file), file.file):
        if (found := files.find(name)) is not None:
            return found
    # Of one recording, which was renamed since, together with its annotations.
    return beside if len(read.files) == 1 else None


def _strong(events: Iterable[SoundEvent]) -> tuple[Event, ...]:
    """Events by time; what two files say alike, to the microsecond that they hold, is one."""
    found = {(round(e.onset_s, 6), round(e.offset_s, 6), nfc(e.label)) for e in events}
    return in_time(Event(onset_s, offset_s, label) for onset_s, offset_s, label in found)
