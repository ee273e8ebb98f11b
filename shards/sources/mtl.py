"""Events of DCASE 2018 task 2 over scenes of DCASE 2019 task 1, as the MTL papers use them.

    ROOT/.../mixture.yaml           per mixture its name, fold, scene and three events
    ROOT/.../snr_20/00000.wav ...   the same mixtures at each SNR; a folder may also be called
                                    `scene_type=dcase2018,snr=20`, as the mixing tool does

`--options snr 20` takes one SNR alone. Training uses the weak labels and the folds; the events'
times are kept, so that what the attention finds can be compared with them. A clip's `recording`
is that of its scene. (arXiv 2008.07085, 2106.06858; 4 folds of 2000 mixtures, 41 classes.)
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from shards.clip import Clip
from shards.io.store import Store
from shards.sources._tables import (
    Options,
    SourceError,
    SourceListing,
    audio_names,
    by_stem,
    check_options,
    classes_of,
    event,
    in_time,
    integer,
    read_yaml,
    share_note,
    stem,
)

RECIPES = "mixture.yaml"
SNR = re.compile(r"(?:.*[,_ ])?snr[_=](?P<snr_db>-?\d+)")
FIELDS = ("mixture_name", "fold", "scene_audio_name", "events")
PUBLISHED = 8000  # mixtures at each SNR, as the README of the MTL repository counts them


def mtl(store: Store, options: Options) -> SourceListing:
    """List the mixtures at all SNRs, or at one."""
    check_options(options, ("snr",), "mtl")
    audio = audio_names(store)
    by_snr: dict[int, dict[str, str]] = defaultdict(dict)
    extra = []
    for path, file in by_stem(audio).items():
        snr_db = _snr_db(file)
        if snr_db is None:
            extra.append(file)
        elif (other := by_snr[snr_db].setdefault(PurePosixPath(path).name, file)) != file:
            raise SourceError(f"{store.root}: got {other} and {file} at {snr_db} dB; remove one")
    recipes = read_recipes(store)
    if not by_snr:
        raise SourceError(
            f"{store.root}: got no folder such as snr_20, and audio such as {audio[0]}; expected "
            "the mixtures of each SNR in a folder that names it: rename it"
        )
    chosen = sorted(by_snr)
    if "snr" in options:
        chosen = [integer(options["snr"], "option snr")]
        if chosen[0] not in by_snr:
            there = ", ".join(map(str, sorted(by_snr)))
            raise SourceError(f"{store.root}: got no mixtures at {chosen[0]} dB; there are {there}")
    clips, missing, notes = [], [], []
    for snr_db in chosen:
        files = by_snr[snr_db]
        present = [name for name in recipes if name in files]
        clips += [mixture(store, name, recipes[name], files[name], snr_db) for name in present]
        missing += [f"snr_{snr_db}/{name}" for name in recipes if name not in files]
        extra += [file for name, file in files.items() if name not in recipes]
        total = max(PUBLISHED, len(recipes))
        notes.append(f"{snr_db} dB: {share_note(len(present), total, 'mixtures')}")
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the {len(recipes)} mixtures of {RECIPES}, such as "
            f"{next(iter(recipes), 'any')}: restore the audio"
        )
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(missing),
        extra=tuple(sorted(extra)),
        notes=tuple(notes),
    )


def _snr_db(file: str) -> int | None:
    """The SNR that the innermost folder with one names."""
    for part in reversed(PurePosixPath(file).parts[:-1]):
        if found := SNR.fullmatch(part):
            return int(found["snr_db"])
    return None


def read_recipes(store: Store) -> dict[str, Mapping[str, Any]]:
    """The recipes in `mixture.yaml`, by the mixtures' names without suffix.

    Raises:
        SourceError: no such file below the folder, several, or one of something else.
    """
    tables = [name for name in store.names() if PurePosixPath(name).name == RECIPES]
    if len(tables) != 1:
        raise SourceError(
            f"{store.root}: got {len(tables)} files {RECIPES}; expected one, which says the "
            "events and the fold of each mixture: restore or remove"
        )
    entries = read_yaml(store, tables[0])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise SourceError(f"{store.path(tables[0])}: expected a list of mixtures: restore the file")
    for entry in entries:
        lacking = [field for field in FIELDS if field not in entry]
        if lacking:
            raise SourceError(
                f"{store.path(tables[0])}: got a mixture without {lacking[0]}; expected "
                f"{', '.join(FIELDS)}: restore the file"
            )
    return {stem(entry["mixture_name"]): entry for entry in entries}


def mixture(store: Store, name: str, recipe: Mapping[str, Any], file: str, snr_db: int) -> Clip:
    """A mixture as a clip, with the labels and the fold of its recipe; `file` is its audio."""
    where = f"{store.path(RECIPES)}: {name}"
    try:
        events = in_time(
            event(str(each["onset"]), str(each["offset"]), each["event_label"], where)
            for each in recipe["events"]
        )
        sources = sorted(str(each["event_audio_name"]) for each in recipe["events"])
    except (KeyError, TypeError) as error:
        raise SourceError(
            f"{where}: got events without {error}; expected event_label, event_audio_name, onset "
            "and offset of each: restore the file"
        ) from error
    scene = str(recipe["scene_audio_name"])
    return Clip(
        source_id=f"snr_{snr_db}/{name}",
        audio=file,
        subset="weak",
        recording=PurePosixPath(stem(scene)).name,
        fold=integer(str(recipe["fold"]), f"{where}: fold"),
        weak=tuple(sorted({each.label for each in events})),
        events=events,
        meta={
            "snr_db": snr_db,
            "scene": PurePosixPath(scene).name.split("-")[0],
            "event_sources": sources,
        },
    )
