"""TAU Urban Acoustic Scenes 2019 and 2020 Mobile (DCASE task 1): ten-second clips of city scenes.

    ROOT/.../meta.csv                               filename, scene_label, identifier, source_label
    ROOT/.../evaluation_setup/fold1_train.csv       which of them are for training,
    ROOT/.../evaluation_setup/fold1_evaluate.csv    and which for testing (or fold1_test.csv)
    ROOT/.../audio/airport-lisbon-1000-40000-a.wav  scene, city, place, segment, device

Tables are separated by tabs, in spite of their names. A clip's label is its scene, which stands in
its metadata too, with city and device; its `recording` is the place of recording, `city-place`,
which the published split never divides. Training clips are of subset `weak`, those for testing
`validation`; clips in neither list go where their place goes, so that no place is in both. A
published evaluation set has `evaluation_setup/test.csv` and no `meta.csv`: its clips are of subset
`test`, without scenes. `--options device a` takes one recording device: 2019 has `a` alone, 2020
Mobile also `b`, `c` and the simulated `s1` to `s6`.
"""

import re
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
    by_stem,
    check_options,
    read_text,
    separated_rows,
    share_note,
    stem,
)

META = "meta.csv"
SETUP = "evaluation_setup"
TRAINING, TESTING = ("fold1_train.csv",), ("fold1_evaluate.csv", "fold1_test.csv")
EVALUATION = "test.csv"
COLUMNS = ("filename", "scene_label", "identifier", "source_label")
# street_pedestrian-milan-1123-43210-s1: scene, city, place, segment, device.
NAME = re.compile(r"(?P<scene>[^-]+)-(?P<city>[^-]+)-(?P<place>[^-]+)-[^-]+-(?P<device>[^-]+)")


def tau_urban(store: Store, options: Options) -> SourceListing:
    """List the clips of a development set, or of an evaluation set, in either year's layout."""
    check_options(options, ("device",), "tau_urban")
    names = list(store.names())
    audio = audio_names(store)
    if (meta := _only(store, [name for name in names if _is(name, META)])) is not None:
        root = PurePosixPath(meta).parent
        rows = _rows(store, meta, COLUMNS)
        subsets = _subsets(store, root, names, rows)
    else:
        table = _only(store, [n for n in names if _is(n, f"{SETUP}/{EVALUATION}")])
        if table is None:
            raise SourceError(
                f"{store.root}: got neither {META} nor {SETUP}/{EVALUATION}; expected TAU Urban "
                "Acoustic Scenes 2019 or 2020 Mobile: restore the tables beside the audio"
            )
        root = PurePosixPath(table).parent.parent
        rows = _rows(store, table, COLUMNS[:1])
        subsets = ["test"] * len(rows)
    files = by_stem(audio)
    clips: list[Clip] = []
    missing: list[str] = []
    listed = set()
    for row, subset in zip(rows, subsets, strict=True):
        name = stem(str(root / row["filename"]))
        listed.add(name)
        if name in files:
            clips.append(_clip(row, files[name], subset))
        else:
            missing.append(row["filename"])
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the {len(rows)} listed clips, such as "
            f"{rows[0]['filename'] if rows else 'any'!r}; restore the audio folder"
        )
    return SourceListing(
        clips=_of_device(store, clips, options.get("device")),
        classes=tuple(sorted({label for clip in clips for label in clip.weak or ()})) or None,
        missing=tuple(missing),
        extra=tuple(name for name in audio if stem(name) not in listed),
        notes=(share_note(len(clips), len(rows), "clips"),),
    )


def _is(name: str, end: str) -> bool:
    return name == end or name.endswith(f"/{end}")


def _only(store: Store, found: Sequence[str]) -> str | None:
    """The one table of its kind; None where there is none."""
    if len(found) > 1:
        raise SourceError(
            f"{store.root}: got {found[0]} and {found[1]}; expected one set: pack each by itself"
        )
    return found[0] if found else None


def _rows(store: Store, name: str, required: Sequence[str]) -> list[Row]:
    text = read_text(store, name)
    header = text.partition("\n")[0]
    rows = separated_rows(text, "\t" if "\t" in header else ",", store.path(name))
    lacking = [column for column in required if rows and column not in rows[0]]
    if lacking:
        raise SourceError(
            f"{store.path(name)}: got the columns {', '.join(rows[0])}; expected also "
            f"{', '.join(lacking)}: restore the file"
        )
    return rows


def _subsets(
    store: Store, root: PurePosixPath, names: Sequence[str], rows: Sequence[Row]
) -> list[str]:
    """`weak` or `validation` for each row; all are `weak` where no split is told."""

    def listed(tables: Sequence[str]) -> set[str]:
        here = [str(root / SETUP / table) for table in tables]
        found = [name for name in here if name in names]
        return {stem(row["filename"]) for n in found for row in _rows(store, n, COLUMNS[:1])}

    training, testing = listed(TRAINING), listed(TESTING)
    if both := sorted(training & testing):
        raise SourceError(
            f"{store.path(str(root / SETUP))}: {both[0]} is for training and for testing; expected "
            "one of them: restore the files"
        )
    of_testing = {row["identifier"] for row in rows if stem(row["filename"]) in testing}
    return [
        "validation"
        if stem(row["filename"]) in testing
        or (stem(row["filename"]) not in training and row["identifier"] in of_testing)
        else "weak"
        for row in rows
    ]


def _clip(row: Row, file: str, subset: str) -> Clip:
    name = PurePosixPath(stem(row["filename"])).name
    if "scene_label" not in row:  # an evaluation set: numbered, and nothing more is told
        return Clip(source_id=name, audio=file, subset=subset)
    found = NAME.fullmatch(name)
    if found is None or found["scene"] != row["scene_label"]:
        raise SourceError(
            f"{row['filename']}: got the scene {row['scene_label']!r}; expected a name like "
            "airport-lisbon-1000-40000-a that begins with it: restore the table"
        )
    meta = {
        "scene": row["scene_label"],
        "city": found["city"],
        "device": row["source_label"] or found["device"],
    }
    return Clip(
        source_id=name,
        audio=file,
        subset=subset,
        recording=row["identifier"] or f"{found['city']}-{found['place']}",
        weak=(row["scene_label"],),
        meta=meta,
    )


def _of_device(store: Store, clips: Sequence[Clip], device: str | None) -> tuple[Clip, ...]:
    chosen = tuple(clip for clip in clips if device is None or clip.meta.get("device") == device)
    if not chosen:
        there = sorted({str(clip.meta.get("device", "not told")) for clip in clips})
        raise SourceError(
            f"{store.root}: got no clips of the device {device!r}; there are {', '.join(there)}"
        )
    return chosen
