"""The truth that outputs are compared with: a packed dataset, or tables of events and lengths."""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from pyarrow.fs import FileType

from cluster.storage.filesystems import filesystem
from pipelines.inference.events import events_of
from pipelines.runtime.errors import MissingFileError, PipelineError
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.words import counted, listed
from pipelines.stages.evaluate.clip_names import ClipNames, plain
from pipelines.stages.evaluate.places import NEW_FORM
from pipelines.stages.evaluate.settings import EvaluateSettings
from pmam.events.event import Event, FloatArray
from pmam.metrics.intervals import cluster_draws
from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import read, recognise
from shards.audio.decoding import AudioError, measured
from shards.clip import nfc
from shards.errors import Faults, told
from shards.io.store import Store
from shards.manifest import MANIFEST
from shards.quality.class_names import alike, alike_in_words
from shards.sources._tables import audio_names
from shards.tables.rows import Row, separated_rows

# A label's end may lie so far behind its clip by rounding alone.
LATE_S = 0.1
log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What sounds in the clips of one subset.

    Args:
        subset: its name; `all` of a table.
        events: by clip; empty where nothing sounds.
        durations_s: by clip.
        recordings: by clip, what it is a part of; the clip itself where that is not known.
        classes: those that are evaluated, in NFC.
        elsewhere: other clips that are known, which outputs may hold as well.
    """

    subset: str
    events: dict[str, list[Event]]
    durations_s: dict[str, float]
    recordings: dict[str, str]
    classes: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    def draws(self, settings: EvaluateSettings) -> FloatArray:
        """Resamples ``(resamples, clips)`` of the recordings, in the order of the events' clips."""
        groups = [self.recordings[clip] for clip in self.events]
        return cluster_draws(groups, settings.resamples, settings.seed)


def is_dataset(url: str) -> bool:
    """Whether a packed dataset is there."""
    source, path = filesystem(url)
    if source.get_file_info(path).type != FileType.Directory:
        return False
    return store(url).size(MANIFEST) is not None


def read_truths(
    url: str, settings: EvaluateSettings, durations: str | None = None, audio: str | None = None
) -> list[Truth]:
    """The truth of each subset.

    Args:
        url: a packed dataset, a table of events in any format of `shards.annotations`, or a folder
            of such tables.
        settings: subsets of a dataset, classes, and which soft labels are events.
        durations: of a table: another one with the columns filename and duration.
        audio: of a table: the folder of the recordings instead.

    Raises:
        PipelineError, AnnotationError, SourceError: it cannot be read, or says too little.
    """
    truths = (
        [_of_subset(url, subset) for subset in settings.subsets]
        if is_dataset(url)
        else [_of_tables(url, settings.soft_threshold, durations, audio)]
    )
    return [_with_classes(truth, settings.classes, url) for truth in truths]


def _of_subset(url: str, subset: str) -> Truth:
    dataset = open_dataset(url)
    rows = [row for row in dataset.select([subset]) if row.events is not None]
    if not rows:
        raise PipelineError(f"{url}: no strongly labelled clips in subset {subset!r}")
    chosen = {row.key for row in rows}
    return Truth(
        subset=subset,
        events={row.source_id: events_of(row.events) for row in rows},
        durations_s={row.source_id: row.duration_s for row in rows},
        recordings={row.source_id: row.recording or row.source_id for row in rows},
        classes=tuple(dataset.manifest.classes or ()),
        elsewhere=tuple(row.source_id for row in dataset.rows if row.key not in chosen),
    )


def _of_tables(url: str, soft_threshold: float, durations: str | None, audio: str | None) -> Truth:
    files = annotated_files(url)
    if not files:
        raise PipelineError(f"{url}: names no clip; expected events, or clips without events")
    names: dict[str, list[AnnotatedFile]] = {}
    for file in files:
        names.setdefault(plain(file.file), []).append(file)
    lengths_s = {
        name: file.duration_s
        for name, parts in names.items()
        for file in parts
        if file.duration_s is not None
    }
    if durations is not None:
        given_s = _table_of_lengths(durations)
        if quiet := given_s.keys() - names.keys():
            log.info(
                "truth: %s of %s stand in no row of %s: taken as clips without events",
                *(counted(len(quiet), "clip"), durations, url),
            )
        names |= {name: [] for name in sorted(quiet)}
        lengths_s |= given_s
    elif audio is not None:
        lengths_s |= _measured_lengths(audio, names)
    if missing := [name for name in names if name not in lengths_s]:
        where = durations or audio
        raise PipelineError(
            f"{url}: {counted(len(missing), 'clip')} of {len(names)} without a length "
            f"({listed(missing)}); expected one of each"
            + (f" in {where}" if where else "")
            + ": give --durations, a table with the columns filename and duration, or --audio, the "
            "folder of the recordings"
        )
    events = {name: _events(parts, soft_threshold, url) for name, parts in names.items()}
    _tell_late(events, lengths_s, url)
    found = {event.label for of_clip in events.values() for event in of_clip}
    return Truth(
        subset="all",
        events=events,
        durations_s={name: float(lengths_s[name]) for name in names},
        recordings={name: name for name in names},
        classes=tuple(sorted(found)),
    )


def annotated_files(url: str) -> list[AnnotatedFile]:
    """What a table, or each table in a folder, annotates.

    Raises:
        MissingFileError, AnnotationError, PipelineError: there is none, or one cannot be read.
    """
    source, path = filesystem(url)
    kind = source.get_file_info(path).type
    if kind == FileType.File:
        folder, _, name = path.rpartition("/")
        return read(content_of(Store(source, folder or "/"), name))
    if kind != FileType.Directory:
        raise MissingFileError(f"{url}: no such file or folder; check the path")
    folder_store = store(url)
    contents = [content_of(folder_store, name) for name in folder_store.names()]
    tables = [content for content in contents if recognise(content) is not None]
    if not tables:
        raise PipelineError(f"{url}: neither a dataset nor a table of events; expected {NEW_FORM}")
    if strange := [c.path for c in contents if c not in tables]:
        log.warning("%s: left out, no tables of events: %s", url, told(strange))
    found, faults = list[AnnotatedFile](), Faults(AnnotationError)
    for content in tables:
        with faults.noted():
            found += read(content)
    faults.check()
    return found


def content_of(folder: Store, name: str) -> Content:
    """A file as annotation formats read it: the recording is called as the file, without suffix."""
    stem, dot, _ = name.rpartition(".")
    return Content(data=folder.read(name), path=folder.path(name), audio=stem if dot else name)


def _events(parts: Iterable[AnnotatedFile], soft_threshold: float, url: str) -> list[Event]:
    """The events of a clip; of soft labels those above the threshold."""
    found, wrong = [], []
    for part in parts:
        for each in part.events:
            label = nfc(each.label.strip())
            if each.score is not None and not each.score > soft_threshold:
                continue
            if not label or each.onset_s >= each.offset_s:
                wrong.append(f"{part.file}: {each.label!r} from {each.onset_s} to {each.offset_s}")
                continue
            found.append(Event(onset_s=each.onset_s, offset_s=each.offset_s, label=label))
    if wrong:
        raise AnnotationError(
            f"{url}: {counted(len(wrong), 'event')} without a label or a length: {told(wrong)}; "
            "expected a class, and an onset before the offset: correct the table"
        )
    return sorted(found)


def _table_of_lengths(url: str) -> dict[str, float]:
    source, path = filesystem(url)
    if source.get_file_info(path).type != FileType.File:
        raise MissingFileError(f"{url}: no such file; check the path")
    folder, _, name = path.rpartition("/")
    content = content_of(Store(source, folder or "/"), name)
    separator = "," if name.lower().endswith(".csv") else "\t"
    found: dict[str, float] = {}
    faults = Faults(PipelineError)
    for row in separated_rows(content.text, separator, url, required=("filename", "duration")):
        with faults.noted():
            clip, length_s = plain(row["filename"]), _length_s(row)
            if found.setdefault(clip, length_s) != length_s:
                raise PipelineError(
                    f"{row.where}: {clip} is {length_s} s long here and {found[clip]} s above; "
                    "expected one length: correct it"
                )
    faults.check()
    return found


def _length_s(row: Row) -> float:
    try:
        length_s = float(row["duration"])
    except ValueError:
        length_s = float("nan")
    if not 0 < length_s < float("inf"):
        raise PipelineError(
            f"{row.where}: got the duration {row['duration']!r}; expected seconds: correct it"
        )
    return length_s


def _measured_lengths(url: str, names: Iterable[str]) -> dict[str, float]:
    """The lengths of recordings in a folder, by the clips' names."""
    folder = store(url)
    wanted = ClipNames(names)
    found: dict[str, float] = {}
    faults = Faults(AudioError)
    for name in audio_names(folder):
        clip = wanted.find(name)
        if clip is not None:
            with faults.noted(), folder.open(name) as file:
                info = measured(cast(BinaryIO, file), folder.path(name))
                found[clip] = info.num_samples / info.sample_rate_hz
    faults.check()
    return found


def _tell_late(events: dict[str, list[Event]], lengths_s: dict[str, float], url: str) -> None:
    late = [
        f"{clip}: {event.label} until {event.offset_s:g} of {lengths_s[clip]:g} s"
        for clip, of_clip in events.items()
        for event in of_clip
        if event.offset_s > lengths_s[clip] + LATE_S
    ]
    if late:
        log.warning(
            "%s: %s end behind their clip, and are not cut: %s",
            *(url, counted(len(late), "event"), told(late)),
        )


def _with_classes(truth: Truth, classes: Sequence[str], url: str) -> Truth:
    """The truth of the classes that are asked for; tells of names that are nearly equal."""
    counts = Counter(
        label for events in truth.events.values() for label in {e.label for e in events}
    )
    for group in alike({**dict.fromkeys(truth.classes, 0), **counts}):
        log.warning(
            "truth: classes that differ in spelling alone are counted apart: %s",
            alike_in_words(group, counts),
        )
    chosen = tuple(map(nfc, classes)) or truth.classes
    if unknown := [name for name in chosen if name not in truth.classes]:
        raise PipelineError(
            f"{url}: no class {unknown[0]!r}; expected some of {', '.join(truth.classes)}"
        )
    if not chosen:
        raise PipelineError(f"{url}: no event of any class; expected something to evaluate")
    kept = {
        clip: [event for event in events if event.label in chosen]
        for clip, events in truth.events.items()
    }
    return replace(truth, events=kept, classes=chosen)
