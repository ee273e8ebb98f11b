"""One's own recordings: a folder per subset, and a label table beside each.

    ROOT/weak/...audio...         ROOT/weak.tsv         filename, event_labels (comma-separated)
    ROOT/strong/...audio...       ROOT/strong.csv       filename, onset, offset, event_label
    ROOT/unlabeled/...audio...    no table, or one with filename alone

A table is TSV, CSV or JSONL and lies in ROOT or ROOT/metadata; columns `recording` and `fold`
are optional. A strong row with empty onset, offset and label is a clip without events. Instead of a
table, files of annotations may lie beside the audio of `strong`, `train`, `validation` and `test`,
in any format of `shards.annotations`; a file of no events is a clip without events. Without either,
the folders in a subset's folder are its weak labels, unless it is `unlabeled`. Audio in ROOT itself
is unlabelled, unless it has annotations. A folder without any of these subsets is read by `flat`.

Audio that its table does not list is left out and counted: it may hold events, so it is no
example of silence, and it may belong to a test set, so it is not to be learnt from either.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from shards.clip import Clip, Event
from shards.errors import Faults, told
from shards.io.store import Store
from shards.sources._tables import (
    TABLE_SUFFIXES,
    Options,
    Row,
    SourceError,
    SourceListing,
    audio_names,
    by_stem,
    check_options,
    classes_of,
    is_hidden,
    read_table,
    stem,
)
from shards.sources.own_folder.annotations import annotations_below
from shards.sources.own_folder.flat import flat
from shards.sources.own_folder.splits import SPLIT_OPTIONS, split_clips
from shards.sources.own_folder.subset_tables import SUBSETS, Found, Table, labelled
from shards.tables.cells import label_of
from shards.tables.commas import with_commas
from shards.tables.wrong_rows import WrongRows

# Subsets whose clips may have files of annotations instead of a table.
MARKED = ("strong", "synthetic", "train", "validation", "test")


def folder(store: Store, options: Options) -> SourceListing:
    """List the clips of a folder in the layout above."""
    check_options(options, SPLIT_OPTIONS, "folder")
    audio: dict[str, list[str]] = defaultdict(list)  # folder -> its audio; "" is ROOT
    for name in audio_names(store):
        first, slash, _ = name.partition("/")
        audio[first if slash else ""].append(name)
    tables = _tables(store)
    every = [file for files in audio.values() for file in files]
    if not tables and all(SUBSETS.get(name, "unlabeled") == "unlabeled" for name in audio):
        return flat(store, options, every, SUBSETS)
    held_out = {SUBSETS.get(name, "") for name in (*audio, *tables)} & {"validation", "test"}
    if options and held_out:
        raise SourceError(
            f"source folder: got the option {next(iter(options))}, and {store.root} has folders "
            f"for {' and '.join(sorted(held_out))}: leave it out"
        )
    if unknown := sorted(set(audio) - set(SUBSETS) - {""}):
        raise SourceError(
            f"{store.root}: got audio in the folder {unknown[0]!r}; expected folders named "
            f"{', '.join(SUBSETS)}: rename it, or move class folders into weak/"
        )
    without_audio = sorted(tables.keys() - audio.keys())
    if audio[""] and without_audio:
        raise SourceError(
            f"{store.root}: got audio in it and the table {tables[without_audio[0]]}; expected "
            f"its audio in {without_audio[0]}/: move it there"
        )
    faults, wrong = Faults(SourceError), dict[str, WrongRows]()
    rows = dict[str, list[Row]]()
    for name, table in tables.items():
        wrong[name], rows[name] = WrongRows(store.path(table)), []
        with wrong[name].noted():
            rows[name] = read_table(store, table, ("filename",), wrong[name])
    whole = with_commas(rows.values())
    marked = annotations_below(store, every, unless=set(tables.values()))
    found = []
    for name in sorted((audio.keys() | tables.keys()) - {""}):
        with faults.noted():
            if name in tables:
                where = Table(tables[name], rows[name], whole, wrong[name])
                with where.wrong.noted():
                    found.append(labelled(store, name, audio[name], where))
                where.wrong.check()
            else:
                found.append(_without_table(store, name, audio[name], marked.events))
    if faults.errors:  # what lacks annotations may have some that cannot be read
        faults.errors[:0] = [SourceError(reason) for _, reason in marked.unusable]
    faults.check()
    if held_out:
        options = {"validation": "0", "test": "0"}
    loose, notes = split_clips(audio[""], marked.events, options)
    found.append(Found(loose, [], [], [] if held_out else notes))
    clips = [clip for part in found for clip in part.clips]
    if not clips:
        raise SourceError(
            f"{store.root}: no audio file is listed in a table; expected names such as those in "
            "the subset folders: correct the tables"
        )
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=(*(name for part in found for name in part.missing), *marked.missing),
        extra=tuple(name for part in found for name in part.extra),
        notes=(
            *marked.notes,
            *(note for part in found for note in part.notes),
            *_unused(marked.events, clips),
        ),
        unusable=marked.unusable,
    )


def _unused(marked: Mapping[str, Sequence[Event]], clips: Sequence[Clip]) -> list[str]:
    """What is told of recordings whose annotations do not count, since other labels do."""
    used = {clip.audio for clip in clips if clip.events is not None}
    if unused := sorted(
        {clip.audio for clip in clips if clip.audio in marked and clip.audio not in used}
    ):
        return [
            f"annotations of {len(unused)} recordings are not used, since their folders are those "
            f"of unlabelled and weakly labelled ones: {told(unused)}"
        ]
    return []


def _tables(store: Store) -> dict[str, str]:
    """The label table of each subset folder."""
    tables: dict[str, str] = {}
    for name in store.names():
        path = PurePosixPath(name)
        if path.suffix not in TABLE_SUFFIXES or str(path.parent) not in (".", "metadata"):
            continue
        if is_hidden(name) or path.stem not in SUBSETS:
            continue
        if (other := tables.setdefault(path.stem, name)) != name:
            raise SourceError(f"{store.root}: got two tables, {other} and {name}; remove one")
    return tables


def _marked(subset: str, events: Mapping[str, tuple[Event, ...]], audio: Sequence[str]) -> Found:
    """The clips that somebody annotated."""
    clips = [
        Clip(source_id=source_id, audio=file, subset=subset, events=events[file])
        for source_id, file in by_stem(audio).items()
        if file in events
    ]
    return Found(clips, [], [], [])


def _without_table(
    store: Store, name: str, audio: Sequence[str], events: Mapping[str, tuple[Event, ...]]
) -> Found:
    subset = SUBSETS[name]
    rest = [file for file in audio if file not in events]
    if subset in MARKED and len(rest) < len(audio):
        part = _marked("strong" if subset == "train" else subset, events, audio)
        if subset == "train" and rest:
            part.clips.extend(_without_table(store, name, rest, {}).clips)
        elif rest:
            part.extra.extend(rest)
            part.notes.append(f"{name}: {len(rest)} audio files left out, without annotations")
        return part
    if subset in ("strong", "synthetic"):
        raise SourceError(
            f"{store.path(name)}: got no label table and no annotations; expected {name}.tsv "
            "beside it with the columns filename, onset, offset, event_label, or files of "
            "annotations beside the recordings"
        )
    below = [PurePosixPath(file).parts[1:-1] for file in audio]
    if subset == "unlabeled" or not any(below):
        if subset == "weak":
            raise SourceError(
                f"{store.path(name)}: got no label table and no class folders; expected "
                f"{name}.tsv with the columns filename, event_labels, or {name}/CLASS/audio"
            )
        part = _unlabelled("unlabeled" if subset == "train" else subset, audio)
        if subset in ("validation", "test"):
            part.notes.append(f"{name}: no label table, its {len(audio)} clips are unlabelled")
        return part
    if not all(below):
        loose = audio[below.index(())]
        raise SourceError(
            f"{store.path(loose)}: lies beside class folders; expected every file of {name} in "
            "a class folder: move it, or write a label table"
        )
    subset = "weak" if subset == "train" else subset
    clips = [
        Clip(source_id=stem(file), audio=file, subset=subset, weak=(label_of(parts[0], file),))
        for file, parts in zip(audio, below, strict=True)
    ]
    return Found(clips, [], [], [f"{name}: labels of {len(clips)} clips from folder names"])


def _unlabelled(subset: str, audio: Sequence[str]) -> Found:
    clips = [
        Clip(source_id=source_id, audio=file, subset=subset)
        for source_id, file in by_stem(audio).items()
    ]
    return Found(clips, [], [], [])
