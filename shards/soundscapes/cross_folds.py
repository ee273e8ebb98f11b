"""Mixtures for cross-validation, each at several signal-to-noise ratios, as the MTL papers use.

Each fold has recordings of its own, of events and of scenes. A mixture is planned once and rendered
at every ratio, so that results at two ratios differ in nothing else.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from shards.clip import Clip
from shards.clip import Event as ClipEvent
from shards.soundscapes.plan import TrimmedRecording, plan
from shards.soundscapes.scene import Soundscape, SoundscapeError, SoundscapeSettings

RECIPES = "mixture.yaml"
SUBSET = "weak"


def fold_shares(folds: int) -> dict[str, float]:
    """Equal shares of the recordings for each of so many folds, by their names."""
    return {str(fold): 1 / folds for fold in range(1, folds + 1)}


def plan_cross_folds(
    settings: SoundscapeSettings,
    count: int,
    snrs_db: Sequence[float],
    foregrounds: Mapping[str, Sequence[TrimmedRecording]],
    backgrounds: Mapping[str, Sequence[TrimmedRecording]],
) -> list[Soundscape]:
    """`count` mixtures in all folds together, at each ratio.

    Args:
        settings: of the mixtures; their ratios are not used.
        count: of mixtures; the first folds get one more where it cannot be shared equally.
        snrs_db: signal-to-noise ratios.
        foregrounds: recordings of events by the name of their fold.
        backgrounds: recordings of scenes likewise.

    Raises:
        SoundscapeError: fewer mixtures than folds, a class that a fold has no recording of, or a
            ratio that is there twice.
    """
    names = sorted(foregrounds, key=int)
    if count < len(names) or not snrs_db or len(set(snrs_db)) < len(snrs_db):
        raise SoundscapeError(
            f"{count} mixtures in {len(names)} folds at {list(snrs_db)} dB: expected a mixture for "
            "each fold at least, and each ratio once"
        )
    labels = {name: {t.recording.label for t in members} for name, members in foregrounds.items()}
    everything = set().union(*labels.values())
    for name, there in labels.items():
        if lacking := everything - there:
            raise SoundscapeError(
                f"fold {name}: no recording of {min(lacking)!r}; expected some of each class in "
                "each fold: add recordings, or make fewer folds"
            )
    mixtures = []
    for number, name in enumerate(names):
        # Another seed for each fold: their mixtures have the same numbers.
        seeded = dataclasses.replace(settings, seed=settings.seed * len(names) + number)
        size = count // len(names) + (number < count % len(names))
        mixtures += [
            dataclasses.replace(scene, fold=int(name))
            for scene in plan(seeded, SUBSET, size, foregrounds[name], backgrounds.get(name, ()))
        ]
    numbered = [
        dataclasses.replace(scene, id=f"{number:05d}") for number, scene in enumerate(mixtures)
    ]
    return [_at(scene, snr_db) for snr_db in snrs_db for scene in numbered]


def _at(scene: Soundscape, snr_db: float) -> Soundscape:
    events = tuple(dataclasses.replace(event, snr_db=float(snr_db)) for event in scene.events)
    return dataclasses.replace(scene, id=f"snr_{snr_db:g}/{scene.id}", events=events)


def name_of(scene: Soundscape) -> str:
    """The mixture's own name, the same at every ratio."""
    return scene.id.rpartition("/")[2]


def snr_db_of(scene: Soundscape) -> float:
    """The ratio that a mixture is rendered at; as whole a number as it is."""
    value = float(scene.id.partition("/")[0].removeprefix("snr_"))
    return int(value) if value.is_integer() else value


def recipes(scenes: Sequence[Soundscape], codec: str) -> bytes:
    """`mixture.yaml`: name, fold, scene and events of each mixture, for the source `mtl`."""
    by_name = {name_of(scene): scene for scene in scenes}
    entries = [
        {
            "mixture_name": f"{name}.{codec}",
            "fold": scene.fold,
            "scene_audio_name": _background(scene),
            "events": [
                {
                    "event_label": event.label,
                    "event_audio_name": event.recording,
                    "onset": event.onset_sample / scene.sample_rate_hz,
                    "offset": (event.onset_sample + event.num_samples) / scene.sample_rate_hz,
                }
                for event in scene.events
            ],
        }
        for name, scene in sorted(by_name.items())
    ]
    import yaml  # slow to load

    text: str = yaml.safe_dump(entries, sort_keys=False)
    return text.encode()


def _background(scene: Soundscape) -> str:
    """The recording of the scene; noise has none, so it is called by its seed."""
    return scene.background.recording or f"noise-{scene.background.noise_seed}"


def to_clip(scene: Soundscape, file: str) -> Clip:
    """A mixture as the source `mtl` lists it: weak labels, fold, and the events' times beside."""
    events = tuple(ClipEvent(*event) for event in scene.strong())
    background = PurePosixPath(_background(scene))
    return Clip(
        source_id=scene.id,
        audio=file,
        subset=SUBSET,
        recording=background.stem,
        fold=scene.fold,
        weak=tuple(sorted({event.label for event in events})),
        events=events,
        meta={
            "snr_db": snr_db_of(scene),
            "scene": background.name.split("-")[0],
            "event_sources": sorted(event.recording for event in scene.events),
        },
    )
