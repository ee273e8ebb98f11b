"""What a run starts from: its settings with paths made absolute, and where it goes by default."""

import json
from collections.abc import Sequence
from dataclasses import replace

from cluster.storage.urls import absolute
from pipelines.presets import PRESETS
from pipelines.presets.settings import RunSettings
from pipelines.runtime.files.inputs import DATASET, FOLDER, PROTOTYPES, STAGE, WEIGHTS, checked
from pipelines.runtime.files.urls import store
from pipelines.runtime.identity import digest, parted
from pmam.settings import SettingsError, from_json


def starting_settings(arguments: Sequence[str]) -> tuple[str, RunSettings]:
    """The name and the settings that the command line starts from.

    Raises:
        SettingsError: an unknown preset, or a file that is no run's configuration.
    """
    config, preset = value_of(arguments, "--config"), value_of(arguments, "--preset") or "demo"
    if config is not None:
        parent, _, name = absolute(config).rpartition("/")
        if store(parent).size(name) is None:
            raise SettingsError(f"{config}: no such file; give the run.json of a run")
        try:
            data = json.loads(store(parent).read(name))
        except ValueError as error:
            raise SettingsError(f"{config}: not JSON ({error})") from error
        if not isinstance(data, dict) or "settings" not in data:
            raise SettingsError(f"{config}: expected an object with `preset` and `settings`")
        try:
            settings = from_json(RunSettings, data["settings"])
        except SettingsError as error:
            raise SettingsError(f"{config}: {error}") from error
        return str(data.get("preset", "run")), settings
    if preset not in PRESETS:
        raise SettingsError(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
    return preset, PRESETS[preset]()


def value_of(arguments: Sequence[str], option: str) -> str | None:
    """What a command line gives an option, before all of it is parsed."""
    for index, argument in enumerate(arguments):
        if argument == option and index + 1 < len(arguments):
            return arguments[index + 1]
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    return None


def resolved(preset: str, settings: RunSettings) -> RunSettings:
    """Paths made absolute, and what the data decides filled in.

    Raises:
        PipelineError, DatasetError: nothing is where a path says.
    """
    checked(
        (DATASET, settings.dataset),
        (PROTOTYPES, settings.prototypes),
        (STAGE, settings.posteriors),
        (WEIGHTS, settings.encoder.weights),
        (WEIGHTS, settings.words.tagger.weights if settings.words else None),
    )
    from pipelines.stages.pack.streams import shard_streams

    if settings.data is not None and not shard_streams(settings.data, settings.pack.source):
        checked((FOLDER, settings.data))
    from pipelines.inference.weights import with_published_weights  # loads torch

    settings = replace(
        settings,
        data=_absolute(settings.data),
        dataset=_absolute(settings.dataset),
        prototypes=_absolute(settings.prototypes),
        posteriors=_absolute(settings.posteriors),
        encoder=with_published_weights(settings.encoder),
    )
    mixing = settings.soundscapes if settings.dataset is None else None
    if preset.startswith("esc10") and mixing is not None:
        if settings.data is None:
            raise SettingsError(
                "preset esc10: give --data, a checkout of ESC-50 or ESC-10, or --dataset, what was "
                "packed of its soundscapes before"
            )
        from pipelines.presets.recordings import esc10_settings

        scenes = esc10_settings(settings.data, mixing)
        settings = replace(settings, soundscapes=scenes)
    return settings


def _absolute(place: str | None) -> str | None:
    return None if place is None else absolute(place)


def default_folder(preset: str, settings: RunSettings) -> str:
    """Where a run goes that was given no folder: a function of its resolved settings.

    Settings at their defaults do not count, so that one which is added later moves no run.
    """
    return f"runs/{preset}-{digest({'preset': preset, 'settings': parted(settings)[0]})[:10]}"
