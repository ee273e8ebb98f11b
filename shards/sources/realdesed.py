"""RealDESED (arXiv 2607.16736): recordings from 652 homes, 15 classes, events with their times.

    ROOT/{train,validation,test}/audio/NAME.wav   or ROOT/{train,...}/NAME.wav, ROOT/audio/NAME.wav
    ROOT/{train,validation,test}/metadata.csv      filename, device, room, scene ...: kept in meta
    ROOT/{train,validation,test}/annotations.csv   filename, onset, offset, class

ROOT may be the folder above, as archives unpack. The recordings that each `annotations.csv` does
not name have no labels: those of `train` are packed as unlabelled, those of the other two are left
out, as the published benchmark does.
(`annotations_raw.csv`, what each annotator wrote, is not read.)
"""

from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._matching import Files, rows_by_file
from shards.sources._tables import (
    Options,
    Row,
    SourceError,
    SourceListing,
    audio_names,
    check_options,
    classes_of,
    read_table,
    share_note,
    stem,
)
from shards.tables.clip_labels import strong_events
from shards.tables.wrong_rows import WrongRows

SUBSETS = {"train": "strong", "validation": "validation", "test": "test"}
PUBLISHED = 5710  # recordings, as its paper and its README count them
LISTS = ("target_classes", "non_target_classes", "recording_environment")  # with semicolons


class _Found(NamedTuple):
    clips: list[Clip]
    present: int  # recordings, those without labels too
    missing: list[str]
    inside: list[str]  # of the folder where they are
    unlabelled: list[str]
    notes: list[str]


def realdesed(store: Store, options: Options) -> SourceListing:
    """List the recordings of the splits that are there."""
    check_options(options, (), "realdesed")
    audio = audio_names(store)
    tables = set(store.names())
    top = _top(tables)
    splits = [split for split in SUBSETS if f"{top}{split}/metadata.csv" in tables]
    if not splits:
        raise SourceError(
            f"{store.root}: got no train/metadata.csv, validation/metadata.csv or "
            "test/metadata.csv; expected the layout of RealDESED: give the folder of its splits"
        )
    found = [_split(store, top, split, audio) for split in splits]
    clips = [clip for each in found for clip in each.clips]
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the listed recordings, such as {found[0].missing[:1]}; "
            f"expected them in {top}{splits[0]}/audio: restore that folder"
        )
    inside = {name for each in found for name in each.inside}
    elsewhere = [name for name in audio if name not in inside]
    present = sum(each.present for each in found)
    total = max(PUBLISHED, present + sum(len(each.missing) for each in found))
    notes = [note for each in found for note in each.notes]
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(name for each in found for name in each.missing),
        extra=tuple(sorted({*elsewhere, *_extra(found)})),
        unlabelled=tuple(name for each in found for name in each.unlabelled),
        notes=(*notes, f"together: {share_note(present, total, 'published recordings')}"),
    )


def _top(tables: Collection[str]) -> str:
    """Where the splits are: in the root, or in the one folder that has some, with a slash."""
    found = {
        name.removesuffix(f"{split}/metadata.csv")
        for name in tables
        for split in SUBSETS
        if f"/{name}".endswith(f"/{split}/metadata.csv")
    }
    return found.pop() if len(found) == 1 else ""


def _audio_folder(top: str, split: str, audio: Sequence[str]) -> str:
    """Where a split's recordings are; as published where there are none."""
    places = (f"{top}{split}/audio", f"{top}{split}", f"{top}audio/{split}", f"{top}audio")
    there = (place for place in places if any(name.startswith(f"{place}/") for name in audio))
    return next(there, places[0])


def _extra(found: Sequence["_Found"]) -> set[str]:
    """Recordings that no table names; a folder may be of several splits."""
    named = {clip.audio for each in found for clip in each.clips}
    named |= {name for each in found for name in each.unlabelled}
    return {name for each in found for name in each.inside} - named


def _split(store: Store, top: str, split: str, audio: Sequence[str]) -> _Found:
    table = f"{top}{split}/annotations.csv"
    if store.size(table) is None:
        raise SourceError(
            f"{store.path(top + split)}: got metadata.csv and no annotations.csv; expected both: "
            "restore it (annotations_raw.csv has no agreed events)"
        )
    folder = _audio_folder(top, split, audio)
    inside = [name for name in audio if name.startswith(f"{folder}/")]
    files = Files(inside, folder, root=store.root, table=table, others=SUBSETS.keys() - {split})
    described = f"{top}{split}/metadata.csv"
    about_rows = read_table(store, described, ("filename",))
    about, missing = rows_by_file(about_rows, files, store.path(described))
    rows = read_table(store, table, ("filename", "onset", "offset", "class"))
    events, without_audio = rows_by_file(rows, files, store.path(table))
    missing = list(dict.fromkeys([*missing, *without_audio]))
    present = sorted({*about, *events})
    unlabelled = [file for file in present if file not in events]
    wrong = WrongRows(store.path(table))
    clips = [_clip(split, file, about.get(file, []), events[file], wrong) for file in events]
    wrong.check()
    if split == "train":
        clips += [_clip(split, file, about[file], None, wrong) for file in unlabelled]
    notes = [f"{split}: {share_note(len(present), len(present) + len(missing), 'recordings')}"]
    if unlabelled:
        fate = "unlabelled" if split == "train" else "left out"
        notes.append(f"{split}: {len(unlabelled)} recordings without annotations are {fate}")
    return _Found(
        clips=clips,
        present=len(present),
        missing=[f"{split}/{name}" for name in missing],
        inside=inside,
        unlabelled=unlabelled,
        notes=notes,
    )


def _clip(
    split: str, file: str, about: Sequence[Row], rows: Sequence[Row] | None, wrong: WrongRows
) -> Clip:
    name = PurePosixPath(stem(file)).name
    events = None
    if rows is not None:
        # the published tables hold some rows twice
        found = strong_events(rows, wrong, ("onset", "offset", "class"))
        events = tuple(dict.fromkeys(found))
    return Clip(
        source_id=f"{split}/{name}",
        audio=file,
        subset="unlabeled" if events is None else SUBSETS[split],
        recording=name,
        events=events,
        meta=_meta(about[0]) if about else {},
    )


def _meta(row: Row) -> dict[str, Any]:
    """What the table tells of the recording; empty cells are left out."""
    values: dict[str, Any] = {
        name: cell for name, cell in row.items() if cell and name != "filename"
    }
    for name in LISTS:
        if name in values:
            values[name] = [part.strip() for part in values[name].split(";") if part.strip()]
    return values
