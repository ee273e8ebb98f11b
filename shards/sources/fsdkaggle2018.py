"""FSDKaggle2018 (DCASE 2018 task 2): recordings of Freesound, one class of 41 each.

Two layouts are known by their tables, as published on Zenodo and on Kaggle:

    FSDKaggle2018.audio_train/00044347.wav   audio_train/00044347.wav
    FSDKaggle2018.audio_test/00326ae9.wav    audio_test/00326ae9.wav
    FSDKaggle2018.meta/
      train_post_competition.csv             train.csv
      test_post_competition_scoring_clips.csv    test_post_competition.csv

Rows tell `fname`, `label`, in training `manually_verified`, in testing `usage`, and after the
competition `freesound_id` and `license`. Training clips are of subset `weak`, testing clips of
`test`; a clip's `recording` is its Freesound id where it is told. Rows of usage `Ignored` (label
`None`) were put in to hinder cheating, and are left out and counted. `--options verified true`
takes the training clips whose labels people checked.
"""

from collections.abc import Sequence
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
    flag,
    read_table,
    share_note,
    stem,
)
from shards.tables.cells import label_of

TRAINING = ("train_post_competition.csv", "train.csv")
TESTING = ("test_post_competition_scoring_clips.csv", "test_post_competition.csv")
VERIFIED = {"1": True, "0": False}
IGNORED = "ignored"


def fsdkaggle2018(store: Store, options: Options) -> SourceListing:
    """List the clips of either layout."""
    check_options(options, ("verified",), "fsdkaggle2018")
    names, audio = list(store.names()), audio_names(store)
    clips: list[Clip] = []
    missing: list[str] = []
    notes: list[str] = []
    listed: set[str] = set()
    for subset, tables, folder in (
        ("weak", TRAINING, "audio_train"),
        ("test", TESTING, "audio_test"),
    ):
        table = _table(store, names, tables)
        if table is None:
            notes.append(f"no {tables[0]}: nothing of {folder}")
            continue
        files = {
            PurePosixPath(name).name: name
            for name in audio
            if PurePosixPath(name).parent.name.endswith(folder)
        }
        rows = read_table(store, table, ("fname", "label"))
        listed |= {files[row["fname"]] for row in rows if row["fname"] in files}
        asked = [row for row in rows if row.get("usage", "").lower() != IGNORED]
        if ignored := len(rows) - len(asked):
            notes.append(f"{ignored} rows of {table} are of usage Ignored: left out")
        if subset == "weak" and flag(options, "verified"):
            asked = [row for row in asked if _verified(row)]
            notes.append(f"{len(asked)} of {len(rows)} training clips are manually verified")
        seen: set[str] = set()
        for row in asked:
            if row["fname"] in seen:
                raise SourceError(f"{row.where}: got {row['fname']} again; expected it once")
            seen.add(row["fname"])
            if row["fname"] in files:
                clips.append(_clip(row, files[row["fname"]], subset))
            else:
                missing.append(f"{folder}/{row['fname']}")
    if not clips:
        raise SourceError(
            f"{store.root}: got no clips of FSDKaggle2018 ({len(missing)} are listed and not "
            f"there); expected {TRAINING[0]} or {TRAINING[1]}, and its audio in a folder that "
            "ends with audio_train: check the path"
        )
    return SourceListing(
        clips=tuple(clips),
        classes=tuple(sorted({label for clip in clips for label in clip.weak or ()})),
        missing=tuple(missing),
        extra=tuple(name for name in audio if name not in listed),
        notes=(*notes, share_note(len(clips), len(clips) + len(missing), "clips")),
    )


def _table(store: Store, names: Sequence[str], tables: Sequence[str]) -> str | None:
    """The one table of that name, wherever it lies; the first name that is there wins."""
    for table in tables:
        found = [name for name in names if PurePosixPath(name).name == table]
        if len(found) > 1:
            raise SourceError(
                f"{store.root}: got {found[0]} and {found[1]}; expected one set: pack each by "
                "itself"
            )
        if found:
            return found[0]
    return None


def _verified(row: Row) -> bool:
    told = row.get("manually_verified", "")
    if told not in VERIFIED:
        raise SourceError(f"{row.where}: got manually_verified {told!r}; expected 1 or 0")
    return VERIFIED[told]


def _clip(row: Row, file: str, subset: str) -> Clip:
    name = PurePosixPath(stem(file)).name
    if not (label := label_of(row["label"], row.where)):
        raise SourceError(f"{row.where}: got no label of {row['fname']}; expected its one class")
    told = {"manually_verified": "verified", "freesound_id": "freesound_id", "license": "licence"}
    return Clip(
        source_id=name,
        audio=file,
        subset=subset,
        recording=row.get("freesound_id") or name,
        weak=(label,),
        meta={meta: row[column] for column, meta in told.items() if row.get(column)},
    )
