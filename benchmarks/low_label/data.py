"""Soundscapes as the product makes them: mixed, packed and embedded once, kept in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from low_label.labels import relabelled
from low_label.places import Places
from low_label.sources import sources_of
from torch import Tensor

from pipelines.inference.frame_job import open_frames
from pipelines.inference.settings import CalibrationSettings
from pipelines.inference.weights import weights_fingerprint
from pipelines.presets.esc10 import ALL_SUBSETS
from pipelines.runtime.files.urls import join, open_dataset, read_checkpoint, store
from pipelines.stages.embed import ENCODER, embed
from pipelines.stages.reindex.edit import reindex_labels
from pipelines.stages.reindex.settings import NewDataset
from pipelines.stages.settings import EmbedSettings, SoundscapesSettings
from pipelines.stages.soundscapes.stage import soundscapes
from pmam.encoders.base import FrameEncoder
from pmam.encoders.settings import EncoderSettings
from pmam.events.event import Event
from pmam.events.targets import encode
from pmam.models.checkpoint import unpack
from shards.editing.settings import RelabelSettings
from shards.index import IndexRow
from shards.soundscapes.scene import SoundscapeSettings

TEXTURES = ("chainsaw", "clock_tick", "fire_crackling", "helicopter")
COUNTS = {"strong": 60, "weak": 150, "unlabeled": 1200, "validation": 150, "test": 300}
FEWEST = {"strong": 60, "weak": 10, "unlabeled": 20, "validation": 16, "test": 16}
TRAINING = ("strong", "weak", "unlabeled")
PCA_WIDTH = 128


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips with their true labels, in the order of their names."""

    inputs: Tensor  # (N, T, width), as the encoder gave them, in half precision
    targets: Tensor  # (N, T, classes), 0 or 1
    rows: list[IndexRow]
    sources: list[frozenset[tuple[str, str]]]  # class and source of each clip's events

    @property
    def keys(self) -> list[str]:
        """Of each clip."""
        return [row.key for row in self.rows]

    @property
    def events(self) -> list[list[Event]]:
        """Of each clip."""
        return [events_of(row) for row in self.rows]


@dataclass(frozen=True, kw_only=True)
class Data:
    """Datasets over the same audio, and what the encoder makes of it."""

    truth: str  # dataset with all events of all clips
    unlabelled: str  # dataset with all training clips in the subset `unlabeled`
    inputs: str  # stage with the encoder's inputs of all clips
    encoder: str  # checkpoint, calibrated on all training clips
    clips: dict[str, Clips]  # strong, weak, validation and test
    unlabelled_rows: list[IndexRow]  # clips whose labels no training sees
    classes: tuple[str, ...]
    hop_s: float
    duration_s: float

    def labelled(self, places: Places, strong: Sequence[IndexRow], weak: Sequence[IndexRow]) -> str:
        """A dataset in which these training clips alone have labels."""
        chosen = {row.key for row in (*strong, *weak)}
        training = [*self.clips["strong"].rows, *self.clips["weak"].rows, *self.unlabelled_rows]
        subsets = {
            "strong": strong,
            "weak": weak,
            "unlabeled": [row for row in training if row.key not in chosen],
            "validation": self.clips["validation"].rows,
            "test": self.clips["test"].rows,
        }
        return relabelled(places, self.truth, subsets, self.classes)


def folds_with(test: int) -> dict[str, tuple[str, ...]]:
    """ESC-10's folds with one to test on, the one before it to choose by, and three to train on."""
    validation = (test - 2) % 5 + 1
    training = tuple(str(fold) for fold in range(1, 6) if fold not in (test, validation))
    return {"train": training, "validation": (str(validation),), "test": (str(test),)}


def esc10(
    counts: dict[str, int], seed: int, folds: dict[str, tuple[str, ...]]
) -> SoundscapesSettings:
    """The soundscapes of ESC-10: rain and sea waves are backgrounds."""
    return SoundscapesSettings(
        table="esc10.csv",
        background_classes=("rain", "sea_waves"),
        folds=folds,
        counts=counts,
        scene=SoundscapeSettings(textures=TEXTURES, seed=seed),
        shards=True,
    )


def mn04(weights: Path) -> EncoderSettings:
    """EfficientAT's mn04 with its AudioSet weights."""
    return EncoderSettings(name="mn04", pca=PCA_WIDTH, weights=str(weights.resolve()))


def load(
    recordings: Path, places: Places, mixing: SoundscapesSettings, encoder: EncoderSettings
) -> Data:
    """Mix and embed all clips, or take what is there from an earlier call."""
    source = str(recordings.resolve())
    place = places.at("soundscapes", mixing, source)
    mixed = soundscapes(source, None, settings=mixing, **place)
    truth = _truth(places, mixed)
    packed = open_dataset(truth)
    rows = sorted(packed.rows, key=lambda row: row.source_id)
    by_subset = {n: [row for row in rows if row.subset == n] for n in mixing.counts}
    training = {"unlabeled": [row for n in TRAINING for row in by_subset[n]]}
    inputs = _inputs(places, truth, encoder, len(training["unlabeled"]))
    calibrated = unpack(read_checkpoint(join(inputs, ENCODER)), inputs)
    assert isinstance(calibrated, FrameEncoder)
    classes, hop_s = tuple(packed.manifest.classes or ()), calibrated.hop_s
    return Data(
        truth=truth,
        unlabelled=relabelled(places, truth, training),
        inputs=inputs,
        encoder=join(inputs, ENCODER),
        clips={
            subset: _clips(
                by_subset[subset],
                inputs,
                classes,
                hop_s,
                sources_of(store(mixed).read(f"recipes/{subset}.jsonl")),
            )
            for subset in ("strong", "weak", "validation", "test")
        },
        unlabelled_rows=by_subset["unlabeled"],
        classes=classes,
        hop_s=hop_s,
        duration_s=mixing.scene.duration_s,
    )


def _truth(places: Places, mixed: str) -> str:
    """The soundscapes with the events that were mixed, of weak and unlabelled clips too."""
    tables = [join(mixed, f"truth/{subset}.tsv") for subset in ("weak", "unlabeled")]
    rule = RelabelSettings(others="keep")
    return reindex_labels(
        mixed,
        rule=rule,
        settings=NewDataset(),
        tables=tables,
        **places.at("dataset", rule, mixed, "truth"),
    )


def _inputs(places: Places, dataset: str, encoder: EncoderSettings, clips: int) -> str:
    """The inputs of all clips, by the encoder calibrated on so many training clips: all."""
    calibration = CalibrationSettings(clips=clips, subsets=TRAINING)
    settings = EmbedSettings(subsets=ALL_SUBSETS, calibration=calibration)
    weights = "" if encoder.weights is None else weights_fingerprint(encoder.weights)
    place = places.at("embed", encoder.name, encoder.pca, weights, settings, dataset)
    return embed(dataset, settings=settings, encoder=encoder, **place)


def _clips(
    rows: list[IndexRow],
    inputs: str,
    classes: tuple[str, ...],
    hop_s: float,
    sources: Mapping[str, frozenset[tuple[str, str]]],
) -> Clips:
    stored = open_frames(inputs)
    frames = np.stack([stored.read(row.key) for row in rows])
    targets = np.stack([encode(events_of(row), classes, frames.shape[1], hop_s) for row in rows])
    return Clips(
        inputs=torch.from_numpy(frames),
        targets=torch.from_numpy(targets),
        rows=rows,
        sources=[sources[row.source_id.rpartition("/")[2]] for row in rows],
    )


def events_of(row: IndexRow) -> list[Event]:
    """The events of a clip."""
    return [Event(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in row.events or ()]
