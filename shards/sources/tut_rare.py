"""TUT Rare Sound Events 2017 (DCASE 2017 task 2): mixtures with at most one target event each.

`event_list_*.csv` says what is where: a line is a name alone (no event) or name, onset, offset,
label. `mixture_recipes_*.yaml`, where present, adds the scene of the background, the
event-to-background ratio and the annotation as published; where a part has no event list, its
recipes say what is where too. Names end in `.wav`, whatever the audio is stored as. A clip's
`recording` is that of its background.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from shards.clip import Clip, Event
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
    read_text,
    read_yaml,
    share_note,
    stem,
)
from shards.tables.separated import lines_of
from shards.tables.wrong_rows import WrongRows

LIST = re.compile(r"event_list_(?P<part>.+)\.csv")
RECIPES = re.compile(r"mixture_recipes_(?P<part>.+)\.yaml")
Recipe = Mapping[str, Any]
SUBSETS = {"devtrain": "strong", "devtest": "validation", "evaltest": "test"}


def tut_rare(store: Store, options: Options) -> SourceListing:
    """List the mixtures that are there, with their events and recipes."""
    check_options(options, (), "tut_rare")
    files: dict[str, list[str]] = defaultdict(list)
    for path, file in by_stem(audio_names(store)).items():
        files[PurePosixPath(path).name].append(file)
    recipes = _recipes(store)
    listed = _listed(store, recipes)
    if not listed:
        raise SourceError(
            f"{store.root}: got no event_list_*.csv and no mixture_recipes_*.yaml; expected the "
            "meta folder of TUT Rare Sound Events 2017 beside the audio: restore it"
        )
    recipe_of = {mixture: entry for part in recipes.values() for mixture, entry in part.items()}
    clips: list[Clip] = []
    missing: list[str] = []
    for name, mixtures in listed.items():
        for mixture, events in mixtures.items():
            if mixture not in files:
                missing.append(mixture)
                continue
            if len(files[mixture]) > 1:
                first, second, *_ = files[mixture]
                raise SourceError(
                    f"{store.root}: got {first} and {second} of one mixture; remove one"
                )
            recipe = recipe_of.get(mixture, {})
            clips.append(
                Clip(
                    source_id=mixture,
                    audio=files[mixture][0],
                    subset=_subset(name),
                    recording=recipe.get("bg_path"),
                    events=in_time(events),
                    meta=_meta(recipe),
                )
            )
    if not clips:
        raise SourceError(
            f"{store.root}: got none of the {len(missing)} listed mixtures, such as {missing[0]!r}"
            if missing
            else f"{store.path(next(iter(listed)))}: lists no mixture; restore the meta folder"
        )
    known = {clip.audio for clip in clips}
    without_recipe = sum(clip.source_id not in recipe_of for clip in clips)
    notes = [share_note(len(clips), len(clips) + len(missing), "mixtures")]
    if without_recipe:
        notes.append(f"{without_recipe} mixtures without a recipe: scene and ratio are unknown")
    return SourceListing(
        clips=tuple(clips),
        classes=classes_of(clips),
        missing=tuple(missing),
        extra=tuple(sorted(file for each in files.values() for file in each if file not in known)),
        notes=tuple(notes),
    )


def _listed(
    store: Store, recipes: Mapping[str, Mapping[str, Recipe]]
) -> dict[str, Mapping[str, Sequence[Event]]]:
    """Events by list and mixture; the recipes of a part that has no event list stand for it."""
    listed: dict[str, Mapping[str, Sequence[Event]]] = {}
    for name in store.names():
        if LIST.fullmatch(PurePosixPath(name).name):
            listed[name] = _event_list(store, name)
    parts = {_part(name) for name in listed}
    for name, entries in recipes.items():
        if _part(name) not in parts:
            listed[name] = {
                mixture: _events_of(entry, f"{store.path(name)}: {mixture}")
                for mixture, entry in entries.items()
            }
    return listed


def _event_list(store: Store, name: str) -> Mapping[str, Sequence[Event]]:
    """Events by mixture, in the order of the list."""
    events: dict[str, list[Event]] = defaultdict(list)
    path = store.path(name)
    wrong = WrongRows(path)
    for number, cells in lines_of(read_text(store, name), ",", path):
        where = f"{path} line {number}"
        with wrong.noted():
            match cells:
                case [mixture]:
                    events[stem(mixture)] += []
                case [mixture, onset, offset, label]:
                    events[stem(mixture)].append(event(onset, offset, label, where))
                case other:
                    raise SourceError(
                        f"{where}: got {len(other)} cells; expected a name, or name, onset, "
                        "offset, label: correct the line"
                    )
    wrong.check()
    return events


def _recipes(store: Store) -> dict[str, dict[str, Recipe]]:
    """Recipes by file and mixture."""
    found = {}
    for name in store.names():
        if not RECIPES.fullmatch(PurePosixPath(name).name):
            continue
        entries = read_yaml(store, name)
        try:
            found[name] = {stem(entry["mixture_audio_filename"]): entry for entry in entries}
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceError(
                f"{store.path(name)}: no list of mixture recipes ({error!r}): restore or remove "
                "the file"
            ) from error
    return found


def _events_of(recipe: Recipe, where: str) -> Sequence[Event]:
    """The event that a recipe mixes in, if any."""
    if not recipe.get("event_present"):
        return ()
    onset, length = (recipe.get(f"event_{name}_seconds") for name in ("start_in_mixture", "length"))
    label = recipe.get("event_class")
    if not isinstance(onset, float) or not isinstance(length, float) or not label:
        raise SourceError(
            f"{where}: got an event without class, start or length; expected a published recipe: "
            "restore the file"
        )
    return (Event(onset, onset + length, str(label)),)


def _meta(recipe: Recipe) -> dict[str, Any]:
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


def _part(name: str) -> str:
    """What an event list or a file of recipes is of, such as `evaltest_babycry`."""
    base = PurePosixPath(name).name
    found = LIST.fullmatch(base) or RECIPES.fullmatch(base)
    return found["part"] if found else ""


def _subset(name: str) -> str:
    part = _part(name).split("_")[0]
    if part not in SUBSETS:
        raise SourceError(f"{name}: got the part {part!r}; expected one of {', '.join(SUBSETS)}")
    return SUBSETS[part]
