"""AudioSet's temporally strong labels (Hershey et al. 2021) over audio of any usual naming.

    ROOT/audioset_train_strong.tsv, audioset_eval_strong.tsv   in ROOT or any folder below
        segment_id (YTID_startms), start_time_seconds, end_time_seconds, label (a MID or a name)
    ROOT/mid_to_display_name.tsv        a MID and its name per line, where one becomes the other
    ROOT/...audio...                    YTID, YTID_30000, YTID_30.000_40.000, YTID_30_40 ...,
                                        with or without a `Y` in front

`--options labels mid` makes MIDs the labels instead of names. Training clips are `strong`, those
of the evaluation set `test`. A clip's `recording` is its YouTube id.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from shards.clip import Clip, Event, nfc
from shards.errors import told
from shards.io.store import Store
from shards.sources._tables import (
    Options,
    SourceError,
    SourceListing,
    audio_names,
    check_options,
    classes_of,
    event,
    in_time,
    read_table,
    read_text,
    share_note,
    stem,
)
from shards.tables.wrong_rows import WrongRows


class SubsetSpec(NamedTuple):
    """One of the two tables; counts as research.google.com/audioset/download_strong.html says."""

    table: str
    subset: str
    published: int


SUBSETS = (
    SubsetSpec("audioset_train_strong.tsv", "strong", 103_463),
    SubsetSpec("audioset_eval_strong.tsv", "test", 16_996),
)
NAMES = "mid_to_display_name.tsv"
COLUMNS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
MID = re.compile(r"/[a-z]/[A-Za-z0-9_]+")
SEGMENT = re.compile(r"(?P<youtube>.{11})_(?P<start_ms>\d+)")
START_AND_END = re.compile(r"(?P<start>.+_\d+(\.\d+)?)_\d+(\.\d+)?")


def audioset_strong(store: Store, options: Options) -> SourceListing:
    """List the labelled segments that there is audio of."""
    check_options(options, ("labels",), "audioset_strong")
    audio = audio_names(store)
    files = _by_name(audio)
    by_base: dict[str, list[str]] = defaultdict(list)
    for name in store.names():
        by_base[PurePosixPath(name).name].append(name)
    tables = {spec: _only(by_base[spec.table], store) for spec in SUBSETS if by_base[spec.table]}
    if not tables:
        raise SourceError(
            f"{store.root}: got no {' or '.join(spec.table for spec in SUBSETS)}; expected one of "
            "them beside the audio: download them from AudioSet's page of strong labels"
        )
    segments = {spec: _segments(store, table) for spec, table in tables.items()}
    cells = {each.label for of_part in segments.values() for es in of_part.values() for each in es}
    labels = _labels(store, by_base[NAMES], cells, options.get("labels", "name"))
    clips: list[Clip] = []
    missing: list[str] = []
    notes = []
    for spec, of_part in segments.items():
        before = len(clips)
        for segment, events in of_part.items():
            file = _file_of(segment, files)
            if file is None:
                missing.append(segment)
            else:
                clips.append(_clip(segment, file, spec.subset, events, labels))
        total = max(spec.published, len(of_part))
        notes.append(f"{spec.subset}: {share_note(len(clips) - before, total, 'clips')}")
    if not clips:
        raise SourceError(
            f"{store.root}: got audio such as {audio[0]} of none of the {len(missing)} segments; "
            f"expected names such as {missing[0] if missing else 'YTID_30000'}.wav: rename it"
        )
    known = {clip.audio for clip in clips}
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(missing),
        extra=tuple(name for name in audio if name not in known),
        notes=tuple(notes),
    )


def names_of(segment: str) -> Iterator[str]:
    """How the audio of a segment such as `s9d-2nhuJCQ_30000` is named by those who fetch it.

    Names with a start and an end are given up to the start: not every segment is 10 s long.
    """
    youtube, start_ms = _parsed(segment)
    start_s = start_ms / 1000
    for prefix in ("", "Y"):
        yield f"{prefix}{segment}"
        yield f"{prefix}{youtube}_{start_s:.3f}"
        yield f"{prefix}{youtube}_{start_s:.1f}"
        yield f"{prefix}{youtube}_{start_s:g}"
        yield f"{prefix}{youtube}"


def _by_name(audio: Iterable[str]) -> dict[str, list[str]]:
    """Audio files by their names, and up to their starts where those have a start and an end."""
    found: dict[str, list[str]] = defaultdict(list)
    for file in audio:
        name = PurePosixPath(stem(file)).name
        times = START_AND_END.fullmatch(name)
        found[times["start"] if times and len(times["start"]) > 11 else name].append(file)
    return dict(found)


def _file_of(segment: str, files: Mapping[str, list[str]]) -> str | None:
    found = {file for name in names_of(segment) for file in files.get(name, ())}
    if len(found) > 1:
        first, second, *_ = sorted(found)
        raise SourceError(f"{segment}: got {first} and {second}; expected one file: remove one")
    return found.pop() if found else None


def _segments(store: Store, table: str) -> dict[str, list[Event]]:
    """Events by segment, their labels as the table has them."""
    events: dict[str, list[Event]] = defaultdict(list)
    wrong = WrongRows(store.path(table))
    for row in read_table(store, table, COLUMNS):
        with wrong.noted():
            if SEGMENT.fullmatch(row["segment_id"]) is None:
                raise SourceError(
                    f"{row.where}: got the segment {row['segment_id']!r}; expected a YouTube id "
                    "and the start in ms, such as s9d-2nhuJCQ_30000: correct the row"
                )
            events[row["segment_id"]].append(
                event(row["start_time_seconds"], row["end_time_seconds"], row["label"], row.where)
            )
    wrong.check()
    return dict(events)


def _parsed(segment: str) -> tuple[str, int]:
    found = SEGMENT.fullmatch(segment)
    if found is None:
        raise SourceError(f"{segment}: expected a segment such as s9d-2nhuJCQ_30000")
    return found["youtube"], int(found["start_ms"])


def _labels(store: Store, tables: list[str], cells: set[str], form: str) -> Mapping[str, str]:
    """The label of each cell of the tables, which is a MID or a name."""
    if form not in ("name", "mid"):
        raise SourceError(f"option labels: got {form!r}; expected name or mid")
    mids = {cell for cell in cells if MID.fullmatch(cell)}
    as_they_are, others = (mids, cells - mids) if form == "mid" else (cells - mids, mids)
    if not others:
        return {cell: cell for cell in cells}
    if not tables:
        way = (
            "give --options labels name, which keeps the names"
            if form == "mid"
            else "keep the MIDs by --options labels mid"
        )
        raise SourceError(
            f"{store.root}: got no {NAMES}; expected it beside the label tables: download it, or "
            f"{way}"
        )
    table = _only(tables, store)
    lines = [line.split("\t") for line in read_text(store, table).splitlines() if line.strip()]
    pairs = [(line[0].strip(), nfc(line[1].strip())) for line in lines if len(line) == 2]
    known = dict(pairs) if form == "name" else _by_name_alone(pairs, others, store.path(table))
    if unknown := sorted(others - known.keys()):
        what = "name" if form == "name" else "MID"
        raise SourceError(
            f"{store.path(table)}: got no {what} for {told(unknown)}; restore the table, or "
            f"give --options labels {'mid' if form == 'name' else 'name'}"
        )
    by_label: dict[str, str] = {}
    for cell in sorted(others):
        if (other := by_label.setdefault(known[cell], cell)) != cell:
            raise SourceError(
                f"{store.path(table)}: {other} and {cell} are both {known[cell]!r}; keep them "
                "apart by --options labels mid"
            )
    return {cell: cell for cell in as_they_are} | {cell: known[cell] for cell in others}


def _by_name_alone(
    pairs: Iterable[tuple[str, str]], names: Collection[str], path: str
) -> dict[str, str]:
    """MIDs by name; a name of several is an error."""
    found: dict[str, str] = {}
    for mid, name in pairs:
        if found.setdefault(name, mid) != mid and name in names:
            raise SourceError(
                f"{path}: {name!r} is {found[name]} and {mid}; give --options labels name"
            )
    return found


def _only(names: list[str], store: Store) -> str:
    if len(names) > 1:
        raise SourceError(f"{store.root}: got {names[0]} and {names[1]}; remove one")
    return names[0]


def _clip(
    segment: str, file: str, subset: str, events: Iterable[Event], labels: Mapping[str, str]
) -> Clip:
    youtube, start_ms = _parsed(segment)
    return Clip(
        source_id=segment,
        audio=file,
        subset=subset,
        recording=youtube,
        events=in_time(Event(each.onset_s, each.offset_s, labels[each.label]) for each in events),
        meta={"start_s": start_ms / 1000},
    )
