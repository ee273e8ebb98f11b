"""ESC-10 soundscapes as cached features: planned and rendered by `shards`, encoded by `pmam`."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pmam.clustering.pca import moments
from pmam.encoders.base import FrameEncoder
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.events.event import Event
from pmam.events.targets import encode
from pmam.models.checkpoint import load_published, read_published
from shards.io.store import Store
from shards.soundscapes.plan import plan_subsets, trim_background, trim_foreground
from shards.soundscapes.recordings import part_backgrounds, recordings_from_csv, split_by_fold
from shards.soundscapes.render import RecordingReader, render
from shards.soundscapes.scene import Soundscape, SoundscapeSettings

BACKGROUNDS = ("rain", "sea_waves")
TEXTURES = ("chainsaw", "clock_tick", "fire_crackling", "helicopter")
FOLDS = {"train": ["1", "2", "3"], "validation": ["4"], "test": ["5"]}
COUNTS = {"strong": 60, "weak": 150, "unlabeled": 1200, "validation": 150, "test": 300}
TRAINING = ("strong", "weak", "unlabeled")
PCA_WIDTH = 128
ENCODING_BATCH = 4


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips of one subset, in the order of their plans."""

    inputs: Tensor  # (N, T, PCA_WIDTH), calibrated
    targets: Tensor  # (N, T, classes), 0 or 1
    tags: Tensor  # (N, classes), 0 or 1
    events: list[list[Event]]
    keys: list[str]

    def take(self, chosen: Sequence[int]) -> "Clips":
        """Some of the clips."""
        index = torch.as_tensor(chosen)
        return Clips(
            inputs=self.inputs[index],
            targets=self.targets[index],
            tags=self.tags[index],
            events=[self.events[i] for i in chosen],
            keys=[self.keys[i] for i in chosen],
        )

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(frozen=True, kw_only=True)
class Data:
    """All subsets with the calibrated encoder that their inputs come from."""

    clips: dict[str, Clips]
    classes: tuple[str, ...]
    encoder: FrameEncoder
    duration_s: float
    fingerprint: str  # of all that the inputs and labels depend on

    def training_inputs(self) -> Tensor:
        """The inputs of all training clips, labelled or not: `(N, T, PCA_WIDTH)`."""
        return torch.cat([self.clips[subset].inputs for subset in TRAINING])


def load(data: Path, weights: Path, cache: Path, soundscapes: SoundscapeSettings) -> Data:
    """Render and encode every clip, or take them from the cache; then calibrate and project."""
    folder = Store.local(data)
    foregrounds, backgrounds = part_backgrounds(
        recordings_from_csv(folder, "esc10.csv", "esc10"), BACKGROUNDS
    )
    classes = tuple(sorted({recording.label for recording in foregrounds}))
    read = RecordingReader({"esc10": folder}, soundscapes.sample_rate_hz)
    plans = plan_subsets(
        soundscapes,
        COUNTS,
        {
            split: [trim_foreground(soundscapes, recording, read) for recording in members]
            for split, members in split_by_fold(foregrounds, FOLDS).items()
        },
        {
            split: [trim_background(soundscapes, recording, read) for recording in members]
            for split, members in split_by_fold(backgrounds, FOLDS).items()
        },
    )
    encoder = build_encoder(EncoderSettings(name="mn04", pca=PCA_WIDTH)).eval()
    load_published(encoder, read_published(weights), str(weights))
    of_subset = {subset: [p for p in plans if p.subset == subset] for subset in COUNTS}
    names = {n: _name(weights, soundscapes, encoder, members) for n, members in of_subset.items()}
    raw = {n: _cached_raw(cache / names[n], encoder, read, of_subset[n]) for n in COUNTS}
    encoder.calibration.fit(moments(lambda: (clip for s in TRAINING for clip in raw[s])))
    return Data(
        clips={
            subset: _clips(encoder, raw[subset], of_subset[subset], classes) for subset in COUNTS
        },
        classes=classes,
        encoder=encoder,
        duration_s=soundscapes.duration_s,
        fingerprint=hashlib.sha256(" ".join(names.values()).encode()).hexdigest()[:16],
    )


def _name(
    weights: Path,
    soundscapes: SoundscapeSettings,
    encoder: FrameEncoder,
    plans: Sequence[Soundscape],
) -> str:
    """The name of the file of cached inputs: a hash of all that they depend on."""
    made_from = json.dumps(
        {
            "plans": [plan.to_json() for plan in plans],
            "soundscapes": asdict(soundscapes),
            "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
            "encoder": asdict(encoder.settings),
        }
    )
    return f"{plans[0].subset}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.npy"


def _cached_raw(
    path: Path, encoder: FrameEncoder, read: RecordingReader, plans: Sequence[Soundscape]
) -> Tensor:
    """Uncalibrated inputs `(N, T, raw width)`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npy")
        np.save(temporary, _encode(encoder, read, plans).numpy())
        temporary.replace(path)
    return torch.from_numpy(np.load(path))


@torch.inference_mode()
def _encode(encoder: FrameEncoder, read: RecordingReader, plans: Sequence[Soundscape]) -> Tensor:
    parts = []
    for start in range(0, len(plans), ENCODING_BATCH):
        batch = [render(plan, read) for plan in plans[start : start + ENCODING_BATCH]]
        parts.append(encoder.raw(torch.from_numpy(np.stack(batch))))
        done = min(start + ENCODING_BATCH, len(plans))
        print(f"\rrendering and encoding {plans[0].subset}: {done}/{len(plans)}", end="")
    print()
    return torch.cat(parts)


def _clips(
    encoder: FrameEncoder, raw: Tensor, plans: Iterable[Soundscape], classes: tuple[str, ...]
) -> Clips:
    events = [
        [Event(onset_s=on, offset_s=off, label=label) for on, off, label in plan.strong()]
        for plan in plans
    ]
    frames = raw.shape[1]
    with torch.no_grad():
        inputs = torch.cat([encoder.calibration(part) for part in raw.split(64)])
    targets = np.stack([encode(clip, classes, frames, encoder.hop_s) for clip in events])
    return Clips(
        inputs=inputs,
        targets=torch.from_numpy(targets),
        tags=torch.from_numpy(targets.max(axis=1)),
        events=events,
        keys=[plan.id for plan in plans],
    )
