"""UrbanSound8K (Salamon et al. 2014): excerpts of up to four seconds, one class of ten each.

    ROOT/metadata/UrbanSound8K.csv     slice_file_name, fsID, start, end, salience, fold, classID,
                                       class; the table may lie elsewhere below ROOT
    ROOT/audio/fold1 ... fold10/100032-3-0-0.wav

A name tells the Freesound recording, the class, the occurrence and the slice. All excerpts of one
recording are in one fold, and the ten folds are made for cross-validation: shuffling them anew
tells a model the answer. So every clip is of subset `weak`, with its fold, and its `recording` is
the Freesound id. `--options salience foreground` takes the excerpts whose sound is in front.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._tables import (
    Options,
    Row,
    SourceError,
    SourceListing,
    audio_names,
    check_options,
    integer,
    read_table,
    share_note,
    stem,
)
from shards.tables.cells import label_of
from shards.tables.wrong_rows import WrongRows

TABLE = "UrbanSound8K.csv"
COLUMNS = ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
FOLDS = range(1, 11)
SALIENCE = {"1": "foreground", "2": "background"}
NAME = re.compile(r"(?P<recording>\d+)-(?P<class_id>\d+)-\d+-\d+")


def urbansound8k(store: Store, options: Options) -> SourceListing:
    """List the excerpts that there is audio of."""
    check_options(options, ("salience",), "urbansound8k")
    salience = options.get("salience", "any")
    if salience not in ("any", *SALIENCE.values()):
        raise SourceError(
            f"option salience: got {salience!r}; expected foreground, background or any"
        )
    table = _table(store)
    audio = audio_names(store)
    files = _by_name(audio)
    rows = read_table(store, table, COLUMNS)
    clips: list[Clip] = []
    missing: list[str] = []
    listed: set[str] = set()
    left_out = 0
    seen: dict[str, Row] = {}
    classes: dict[str, str] = {}  # by their number
    wrong = WrongRows(store.path(table))
    for row in rows:
        with wrong.noted():
            clip, name = _clip(row, files, seen, classes)
            if clip is not None:
                listed.add(clip.audio)
            if salience not in ("any", SALIENCE[row["salience"]]):
                left_out += 1
            elif clip is None:
                missing.append(name)
            else:
                clips.append(clip)
    wrong.check()
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the {len(rows)} excerpts that {table} lists, such as "
            f"{missing[0] if missing else 'any'!r}; expected them in audio/fold1 to audio/fold10: "
            "restore these folders"
        )
    labels = {label for clip in clips for label in clip.weak or ()}
    notes = [share_note(len(clips), len(clips) + len(missing), "excerpts")]
    if left_out:
        notes.append(f"{left_out} excerpts are not in the {salience}: left out")
    return SourceListing(
        clips=tuple(clips),
        classes=tuple(classes[n] for n in sorted(classes, key=int) if classes[n] in labels),
        missing=tuple(missing),
        extra=tuple(name for name in audio if name not in listed),
        notes=tuple(notes),
    )


def _table(store: Store) -> str:
    found = [name for name in store.names() if PurePosixPath(name).name == TABLE]
    if len(found) != 1:
        got = " and ".join(found) or f"no {TABLE}"
        raise SourceError(
            f"{store.root}: got {got}; expected one metadata/{TABLE}: give the folder of one copy "
            "of UrbanSound8K"
        )
    return found[0]


def _by_name(audio: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Audio files by their name without folder and suffix."""
    files = defaultdict(list)
    for name in audio:
        files[PurePosixPath(stem(name)).name].append(name)
    return files


def _clip(
    row: Row,
    files: Mapping[str, Sequence[str]],
    seen: dict[str, Row],
    classes: dict[str, str],
) -> tuple[Clip | None, str]:
    """The clip of a row, None where its audio is missing; and where that should be."""
    name = PurePosixPath(stem(row["slice_file_name"])).name
    parts = NAME.fullmatch(name)
    if parts is None:
        raise SourceError(
            f"{row.where}: got the name {name!r}; expected one like 100032-3-0-0.wav: recording, "
            "class, occurrence, slice"
        )
    if (before := seen.setdefault(name, row)) is not row:
        raise SourceError(f"{row.where}: got {name} again, as in {before.where}; expected it once")
    fold = integer(row["fold"], f"{row.where}: fold")
    if fold not in FOLDS:
        raise SourceError(f"{row.where}: got the fold {fold}; expected 1 to 10")
    if row["salience"] not in SALIENCE:
        raise SourceError(f"{row.where}: got the salience {row['salience']!r}; expected 1 or 2")
    if (row["fsID"], row["classID"]) != (parts["recording"], parts["class_id"]):
        raise SourceError(
            f"{row.where}: got fsID {row['fsID']} and classID {row['classID']} of {name}; expected "
            "those of its name"
        )
    label = label_of(row["class"], row.where)
    if (other := classes.setdefault(row["classID"], label)) != label:
        raise SourceError(
            f"{row.where}: got the class {label!r} for classID {row['classID']}; expected {other!r}"
        )
    folder = f"fold{fold}"
    found = files.get(name, ())
    there = [file for file in found if PurePosixPath(file).parent.name == folder] or [
        file for file in found if not PurePosixPath(file).parent.name.startswith("fold")
    ]
    if len(there) > 1:
        raise SourceError(f"{row.where}: {name} is both {' and '.join(there)}; remove one")
    if not there:
        return None, f"audio/{folder}/{row['slice_file_name']}"
    clip = Clip(
        source_id=name,
        audio=there[0],
        subset="weak",
        recording=row["fsID"],
        fold=fold,
        weak=(label,),
        meta={
            "salience": SALIENCE[row["salience"]],
            "start_s": _seconds(row, "start"),
            "end_s": _seconds(row, "end"),
        },
    )
    return clip, there[0]


def _seconds(row: Row, column: str) -> float:
    """Where in its recording the excerpt begins or ends."""
    try:
        return float(row[column])
    except ValueError as error:
        raise SourceError(
            f"{row.where}: got the {column} {row[column]!r}; expected seconds"
        ) from error
