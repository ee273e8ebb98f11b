"""ESC-50 and ESC-10 (Piczak 2015): five-second clips, one class each, five folds.

Three layouts are known by what is there: the public ESC-50 checkout (`meta/esc50.csv`), a table
`esc10.csv` with `audio/CLASS/NAME.ogg`, and the public ESC-10 checkout with its folders such as
`001 - Dog bark/`. The option `esc10` takes the ten classes of ESC-10 out of ESC-50. A name
`1-100032-A` says the fold, the recording's Freesound id and the cut; clips of one recording are
all in one fold, and the folds are made for cross-validation, so every clip is of subset `weak`.
"""

import re
from pathlib import PurePosixPath

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._tables import (
    Options,
    Row,
    SourceError,
    SourceListing,
    audio_names,
    by_stem,
    check_options,
    flag,
    integer,
    read_table,
    share_note,
    stem,
)
from shards.tables.cells import label_of

ESC50_TABLE = "meta/esc50.csv"
ESC10_TABLE = "esc10.csv"
ESC10_CLIPS = 400
NAME = re.compile(r"(?P<fold>\d+)-(?P<recording>\d+)-(?P<take>[A-Z])(-\d+)?")
CLASS_FOLDER = re.compile(r"\d+ - (?P<category>.+)")


def esc50(store: Store, options: Options) -> SourceListing:
    """List the clips of ESC-50 or ESC-10 in any of the three layouts."""
    check_options(options, ("esc10",), "esc50")
    audio = audio_names(store)
    if store.size(ESC50_TABLE) is not None:
        rows = read_table(store, ESC50_TABLE, ("filename", "fold", "category", "target", "esc10"))
        if flag(options, "esc10"):
            rows = [row for row in rows if row["esc10"].lower() == "true"]
        rows = sorted(rows, key=lambda row: integer(row["target"], store.path(ESC50_TABLE)))
        return _from_table(store, rows, audio)
    if store.size(ESC10_TABLE) is not None:
        rows = read_table(store, ESC10_TABLE, ("filename", "fold", "category"))
        return _from_table(store, sorted(rows, key=lambda row: row["category"]), audio)
    return _from_folders(store, audio)


def _from_table(store: Store, rows: list[Row], audio: list[str]) -> SourceListing:
    """Clips of a table whose rows come in the order of the classes."""
    files = by_stem(audio)
    clips, missing = [], []
    for row in rows:
        file = files.get(stem(f"audio/{row['filename']}"))
        if file is None:
            missing.append(row["filename"])
        else:
            fold = integer(row["fold"], f"{row.where}: fold")
            clips.append(_clip(file, label_of(row["category"], row.where), fold))
    if not clips:
        raise SourceError(
            f"{store.path('audio')}: got none of the {len(rows)} listed clips, such as "
            f"{rows[0]['filename'] if rows else 'any'!r}; restore the audio folder"
        )
    known = {clip.audio for clip in clips}
    labels = {label for clip in clips for label in clip.weak or ()}
    return SourceListing(
        clips=tuple(clips),
        classes=tuple(dict.fromkeys(c for row in rows if (c := row["category"]) in labels)),
        missing=tuple(missing),
        extra=tuple(name for name in audio if name not in known),
        notes=(share_note(len(clips), len(rows), "clips"),),
    )


def _from_folders(store: Store, audio: list[str]) -> SourceListing:
    clips, extra = [], []
    for name in audio:
        found = CLASS_FOLDER.fullmatch(PurePosixPath(name).parent.name)
        if found is None:
            extra.append(name)
        else:
            category = found["category"].strip().lower().replace(" ", "_")
            clips.append(_clip(name, category, None))
    if not clips:
        raise SourceError(
            f"{store.root}: neither ESC-50 nor ESC-10; expected {ESC50_TABLE}, {ESC10_TABLE}, or "
            "folders such as '001 - Dog bark': check the path"
        )
    return SourceListing(
        clips=tuple(clips),
        classes=tuple(sorted({label for clip in clips for label in clip.weak or ()})),
        extra=tuple(extra),
        notes=(share_note(len(clips), ESC10_CLIPS, "clips"),),
    )


def _clip(file: str, category: str, fold: int | None) -> Clip:
    name = PurePosixPath(stem(file)).name
    found = NAME.fullmatch(name)
    if found is None:
        raise SourceError(f"{file}: expected a name like 1-100032-A: fold, recording, cut")
    if fold not in (None, int(found["fold"])):
        raise SourceError(f"{file}: its table says fold {fold}; expected the fold of its name")
    return Clip(
        source_id=name,
        audio=file,
        subset="weak",
        recording=found["recording"],
        fold=int(found["fold"]),
        weak=(category,),
        meta={"take": found["take"]},
    )
