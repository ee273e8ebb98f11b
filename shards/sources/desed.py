"""DESED (Turpault et al. 2019), as the DCASE task 4 recipes lay it out: `audio/` and `metadata/`.

Each part of the set has a folder of audio and a table (`SUBSETS` below). The synthetic parts may
also lie in `dcase_synth/`, where their archive unpacks to. Copies at a lower rate, in folders
such as `weak_16k`, are used where the original folder is not there, which is noted, or where the
option `suffix` asks for them (`--options suffix _16k`).

A real clip's `recording` is its YouTube id. The same clip can be in two parts: 170 of the strong
ones are weakly labelled too.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

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
from shards.tables.clip_labels import empty_cells, strong_events, weak_labels
from shards.tables.wrong_rows import WrongRows


class SubsetSpec(NamedTuple):
    """One part of the set: where its audio and its table are, and how many clips there are."""

    name: str
    subset: str
    kind: Literal["strong", "weak", "list"]
    audio: str  # below audio/
    table: str  # below metadata/
    published: int


# Counts: the README of github.com/turpaultn/DESED and the DCASE 2021-2023 task 4 descriptions.
SUBSETS = (
    SubsetSpec(
        "strong", "strong", "strong", "train/strong_label_real", "train/audioset_strong.tsv", 3470
    ),
    SubsetSpec("weak", "weak", "weak", "train/weak", "train/weak.tsv", 1578),
    SubsetSpec(
        "unlabeled",
        "unlabeled",
        "list",
        "train/unlabel_in_domain",
        "train/unlabel_in_domain.tsv",
        14412,
    ),
    SubsetSpec(
        "synthetic",
        "synthetic",
        "strong",
        "train/synthetic21_train/soundscapes",
        "train/synthetic21_train/soundscapes.tsv",
        10000,
    ),
    SubsetSpec(
        "synthetic_validation",
        "synthetic_validation",
        "strong",
        "validation/synthetic21_validation/soundscapes",
        "validation/synthetic21_validation/soundscapes.tsv",
        2500,
    ),
    SubsetSpec(
        "validation",
        "validation",
        "strong",
        "validation/validation",
        "validation/validation.tsv",
        1168,
    ),
    SubsetSpec("test", "test", "strong", "eval/public", "eval/public.tsv", 692),
)
COLUMNS = {
    "strong": ("filename", "onset", "offset", "event_label"),
    "weak": ("filename", "event_labels"),
    "list": ("filename",),
}
ROOTS = ("", "dcase_synth/")
RATE_SUFFIX = re.compile(r"(?P<folder>.+)(?P<suffix>_\d+k)")
YOUTUBE = re.compile(r"Y(?P<id>.{11})_\d+\.\d+_\d+\.\d+")


class _Folder(NamedTuple):
    suffix: str
    audio: list[str]


class _Found(NamedTuple):
    clips: list[Clip]
    missing: list[str]
    unlisted: list[str]
    notes: list[str]


def desed(store: Store, options: Options) -> SourceListing:
    """List the clips of all parts that are there."""
    check_options(options, ("suffix",), "desed")
    by_folder: dict[str, list[str]] = defaultdict(list)
    for name in audio_names(store):
        by_folder[str(PurePosixPath(name).parent)].append(name)
    tables = {name for name in store.names() if name.endswith(".tsv")}
    found: list[_Found] = []
    used: set[str] = set()
    absent = []
    for spec in SUBSETS:
        table = next((name for root in ROOTS if (name := _table(root, spec)) in tables), None)
        copies = _copies(spec, by_folder)
        used.update(name for copy in copies for name in copy.audio)
        if table is None and not copies:
            absent.append(spec.name)
        else:
            folder, notes = _chosen(spec, copies, options.get("suffix"), store)
            found.append(_listed(store, spec, folder, table, notes))
    clips = [clip for each in found for clip in each.clips]
    if not clips:
        raise SourceError(
            f"{store.root}: got none of DESED's clips; expected folders such as audio/train/weak "
            "beside metadata/train/weak.tsv: give the folder that holds audio/ and metadata/"
        )
    elsewhere = [name for names in by_folder.values() for name in names if name not in used]
    notes = [note for each in found for note in each.notes]
    if absent:
        notes.append(f"not there: {', '.join(absent)}")
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(name for each in found for name in each.missing),
        extra=tuple(sorted([*elsewhere, *(name for each in found for name in each.unlisted)])),
        notes=(*notes, *_shared_recordings(clips)),
    )


def _table(root: str, spec: SubsetSpec) -> str:
    return f"{root}metadata/{spec.table}"


def _copies(spec: SubsetSpec, by_folder: dict[str, list[str]]) -> list[_Folder]:
    """The folders that hold the part's audio: the original, and those at other rates."""
    copies: dict[str, list[str]] = {}
    for root in ROOTS:
        for folder, names in by_folder.items():
            rate = RATE_SUFFIX.fullmatch(folder)
            plain, suffix = (rate["folder"], rate["suffix"]) if rate else (folder, "")
            if plain == f"{root}audio/{spec.audio}":
                copies.setdefault(suffix, names)
    # until 2020 the validation clips lay in audio/validation itself
    if spec.name == "validation" and not copies and "audio/validation" in by_folder:
        copies[""] = by_folder["audio/validation"]
    return [_Folder(suffix, names) for suffix, names in sorted(copies.items())]


def _chosen(
    spec: SubsetSpec, copies: Sequence[_Folder], wanted: str | None, store: Store
) -> tuple[_Folder, list[str]]:
    """The folder to use; without a wish, the original or the only copy."""
    if not copies:
        return _Folder("", []), []
    by_suffix = {copy.suffix: copy for copy in copies}
    if wanted is None and len(copies) > 1 and "" not in by_suffix:
        raise SourceError(
            f"{store.root}: got audio/{spec.audio} as {', '.join(by_suffix)}; expected the "
            f"original or one copy: choose by --options suffix {copies[0].suffix}"
        )
    if wanted is not None and wanted not in by_suffix:
        there = ", ".join(f"{spec.audio}{suffix}" for suffix in by_suffix)
        raise SourceError(
            f"{store.root}: got no audio/{spec.audio}{wanted}, but {there}; leave the option "
            "suffix out, or correct it"
        )
    chosen = by_suffix[wanted] if wanted is not None else copies[0]  # '' sorts first
    if not chosen.suffix:
        return chosen, []
    return chosen, [
        f"{spec.name}: from the copies in {PurePosixPath(spec.audio).name}{chosen.suffix}"
    ]


def _listed(
    store: Store, spec: SubsetSpec, folder: _Folder, table: str | None, notes: list[str]
) -> _Found:
    audio = folder.audio
    if table is None:
        if spec.kind != "list":
            raise SourceError(
                f"{store.root}: got audio/{spec.audio}{folder.suffix}; expected also "
                f"metadata/{spec.table}: restore the table, or move the audio away"
            )
        clips = [_clip(spec, file, [], WrongRows("")) for file in audio]
        return _Found(clips, [], [], [*notes, _share(spec, len(clips), len(clips))])
    rows = read_table(store, table, COLUMNS[spec.kind])
    below = str(PurePosixPath(*audio[:1]).parent)
    files = Files(audio, below, root=store.root, table=table)
    listed, missing = rows_by_file(rows, files, store.path(table))
    wrong = WrongRows(store.path(table))
    clips = [_clip(spec, file, of_file, wrong) for file, of_file in listed.items()]
    wrong.check()
    notes.append(_share(spec, len(listed), len(listed) + len(missing)))
    if spec.kind == "weak" and (note := empty_cells(rows, store.path(table))):
        notes.append(f"{spec.name}: {note}")
    unlisted = sorted(set(audio) - set(listed))
    if unlisted:
        notes.append(f"{spec.name}: {len(unlisted)} audio files left out, {table} lacks them")
    return _Found(clips, [f"{spec.name}/{name}" for name in missing], unlisted, notes)


def _share(spec: SubsetSpec, present: int, listed: int) -> str:
    """How much of the published part is there, and how much of that its table lists."""
    note = f"{spec.name}: {share_note(present, max(spec.published, listed), 'clips')}"
    return note if listed in (present, spec.published) else f"{note}, the table lists {listed}"


def _clip(spec: SubsetSpec, file: str, rows: Sequence[Row], wrong: WrongRows) -> Clip:
    """The clip of all rows that name one file; `wrong`, of its table, gets the bad ones."""
    name = PurePosixPath(stem(file)).name
    youtube = YOUTUBE.fullmatch(name)
    weak = events = None
    if spec.kind == "weak":
        weak = tuple(sorted(weak_labels(rows, wrong)))
    if spec.kind == "strong":
        events = strong_events(rows, wrong)
    return Clip(
        source_id=f"{spec.name}/{name}",
        audio=file,
        subset=spec.subset,
        recording=youtube["id"] if youtube else None,
        weak=weak,
        events=events,
    )


def _shared_recordings(clips: Sequence[Clip]) -> list[str]:
    """Notes on training recordings that are evaluated on too."""
    of: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        if clip.recording is not None:
            of[clip.subset].add(clip.recording)
    return [
        f"{shared} recordings are in {train} and in {held_out}: leave them out of one"
        for train in ("strong", "weak", "unlabeled")
        for held_out in ("validation", "test")
        if (shared := len(of[train] & of[held_out]))
    ]
