"""TUT Rare Sound Events 2017 (DCASE 2017 task 2): mixtures with at most one target event each.

`event_list_*.csv` says what is where: a line is a name alone (no event) or name, onset, offset,
label. `mixture_recipes_*.yaml`, where present, adds the scene of the background, the
event-to-background ratio and the annotation as published. Names end in `.wav`, whatever the audio
is stored as. A clip's `recording` is that of its background.
"""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from shards.clip import Clip, Event
from shards.sources.tables import (
    Options,
    SourceError,
    SourceListing,
    audio_names,
    by_stem,
    check_options,
    event,
    read_text,
    share_note,
    stem,
)
from shards.store import Store

LIST = re.compile(r"event_list_(?P<part>.+)\.csv")
RECIPES = re.compile(r"mixture_recipes_.+\.yaml")
SUBSETS = {"devtrain": "strong", "devtest": "validation", "evaltest": "test"}


def tut_rare(store: Store, options: Options) -> SourceListing:
    """List the mixtures that are there, with their events and recipes."""
    check_options(options, (), "tut_rare")
    files = by_stem(audio_names(store))
    by_name = {PurePosixPath(path).name: file for path, file in files.items()}
    if len(by_name) != len(files):
        raise SourceError(f"{store.root}: got two mixtures of one name; expected each once")
    lists = [name for name in store.names() if LIST.fullmatch(PurePosixPath(name).name)]
    if not lists:
        raise SourceError(
            f"{store.root}: got no event_list_*.csv; expected the meta folder of TUT Rare Sound "
            "Events 2017 beside the audio: restore it"
        )
    recipes = _recipes(store)
    clips: list[Clip] = []
    missing: list[str] = []
    classes: set[str] = set()
    for name in lists:
        for mixture, events in _event_list(store, name).items():
            classes |= {event.label for event in events}
            file = by_name.get(mixture)
            if file is None:
                missing.append(mixture)
                continue
            recipe = recipes.get(mixture, {})
            clips.append(
                Clip(
                    source_id=mixture,
                    audio=file,
                    subset=_subset(name),
                    recording=recipe.get("bg_path"),
                    events=tuple(events),
                    meta=_meta(recipe),
                )
            )
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the {len(missing)} listed mixtures, such as {missing[0]!r}"
            if missing
            else f"{store.path(lists[0])}: lists no mixture; restore the meta folder"
        )
    known = {clip.audio for clip in clips}
    without_recipe = sum(clip.source_id not in recipes for clip in clips)
    notes = [share_note(len(clips), len(clips) + len(missing), "mixtures")]
    if without_recipe:
        notes.append(f"{without_recipe} mixtures without a recipe: scene and ratio are unknown")
    return SourceListing(
        clips=tuple(clips),
        classes=tuple(sorted(classes)),
        missing=tuple(missing),
        extra=tuple(sorted(file for file in files.values() if file not in known)),
        notes=tuple(notes),
    )


def _event_list(store: Store, name: str) -> Mapping[str, Sequence[Event]]:
    """Events by mixture, in the order of the list."""
    events: dict[str, list[Event]] = defaultdict(list)
    for number, cells in enumerate(csv.reader(read_text(store, name).splitlines()), start=1):
        where = f"{store.path(name)} line {number}"
        match [cell.strip() for cell in cells]:
            case []:
                continue
            case [mixture]:
                events[stem(mixture)] += []
            case [mixture, onset, offset, label]:
                events[stem(mixture)].append(event(onset, offset, label, where))
            case other:
                raise SourceError(
                    f"{where}: got {len(other)} cells; expected a name, or name, onset, offset, "
                    "label: correct the line"
                )
    return events


def _recipes(store: Store) -> dict[str, dict[str, Any]]:
    """Recipes by mixture, out of all recipe files."""
    found: dict[str, dict[str, Any]] = {}
    for name in store.names():
        if not RECIPES.fullmatch(PurePosixPath(name).name):
            continue
        try:
            # the same safe loader, in C where libyaml is there: ten times as fast
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            entries = yaml.load(read_text(store, name), Loader=loader)  # noqa: S506
            found |= {stem(entry["mixture_audio_filename"]): entry for entry in entries}
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise SourceError(
                f"{store.path(name)}: no list of mixture recipes ({' '.join(str(error).split())}): "
                "restore or remove the file"
            ) from error
    return found


def _meta(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the recipe tells of scene, level and sources; nothing without a recipe."""
    ebr_db = recipe.get("ebr")  # published as -inf where there is no event
    has_ratio = isinstance(ebr_db, int | float) and math.isfinite(ebr_db)
    values = {
        "scene": recipe.get("bg_classname"),
        "ebr_db": ebr_db if has_ratio else None,
        "background": recipe.get("bg_path"),
        "event_source": recipe.get("event_path"),
        "annotation": recipe.get("annotation_string"),
    }
    return {name: value for name, value in values.items() if value is not None}


def _subset(event_list: str) -> str:
    found = LIST.fullmatch(PurePosixPath(event_list).name)
    part = found["part"].split("_")[0] if found else ""
    if part not in SUBSETS:
        raise SourceError(
            f"{event_list}: got the part {part!r}; expected one of {', '.join(SUBSETS)}"
        )
    return SUBSETS[part]
