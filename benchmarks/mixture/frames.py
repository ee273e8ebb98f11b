"""Real frames to fit mixtures to: soundscapes of ESC-10 recordings through mn04."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from pmam.clustering.pca import fit_standardiser, moments
from pmam.encoders.base import pool_frames
from pmam.encoders.efficientat import FRAME_MEL_HOPS, EfficientATEncoder
from pmam.encoders.log_mel import LogMelSettings
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.published import load_published, read_published
from shards.io.store import Store
from shards.soundscapes.plan import plan_subsets, trim_background, trim_foreground
from shards.soundscapes.recordings import part_backgrounds, recordings_from_csv, split_by_fold
from shards.soundscapes.render import RecordingReader, render
from shards.soundscapes.scene import SoundscapeSettings

BACKGROUNDS = ("rain", "sea_waves")
TEXTURES = ("chainsaw", "clock_tick", "fire_crackling", "helicopter")
FOLDS = {"train": ["1", "2", "3", "4", "5"]}
SOUNDSCAPES = SoundscapeSettings(textures=TEXTURES, seed=0)
BATCH = 4
WIDTH = 768


def real_frames(data: Path, weights: Path, cache: Path, count: int) -> torch.Tensor:
    """`count` standardised frames `(N, 768)` in float32, from the cache where it holds them.

    A frame of 80 ms: the block features of mn04 (560, averaged over frequency), and the log-mel of
    its two halves (2 x 128, of which the last 48 are cut off).
    """
    made_from = {
        "count": count,
        "soundscapes": asdict(SOUNDSCAPES),
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "recordings": hashlib.sha256((data / "esc10.csv").read_bytes()).hexdigest(),
    }
    name = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    path = cache / f"frames-{name}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part.npy")
        np.save(temporary, _frames(data, weights, count))
        temporary.replace(path)
    raw = torch.from_numpy(np.load(path, mmap_mode="c"))
    return fit_standardiser(moments(raw)).apply(raw)


def cut(frames: torch.Tensor, width: int) -> torch.Tensor:
    """`width` of the columns, evenly spaced: some of every block and of every band."""
    columns = torch.linspace(0, frames.shape[1] - 1, width).round().long()
    return frames[:, columns].contiguous()


@torch.inference_mode()
def _frames(data: Path, weights: Path, count: int) -> np.ndarray:
    encoder = build_encoder(EncoderSettings(name="mn04")).eval()
    assert isinstance(encoder, EfficientATEncoder)
    load_published(encoder, read_published(weights), str(weights))
    clips = -(-count // round(SOUNDSCAPES.duration_s / encoder.hop_s))
    folder = Store.local(data)
    foregrounds, backgrounds = part_backgrounds(
        recordings_from_csv(folder, "esc10.csv", "esc10"), BACKGROUNDS
    )
    read = RecordingReader({"esc10": folder}, SOUNDSCAPES.sample_rate_hz)
    plans = plan_subsets(
        SOUNDSCAPES,
        {"unlabeled": clips},
        {
            split: [trim_foreground(SOUNDSCAPES, recording, read) for recording in members]
            for split, members in split_by_fold(foregrounds, FOLDS).items()
        },
        {
            split: [trim_background(SOUNDSCAPES, recording, read) for recording in members]
            for split, members in split_by_fold(backgrounds, FOLDS).items()
        },
    )
    mels = LogMelSettings().mels
    parts = []
    for start in range(0, clips, BATCH):
        waveform = torch.from_numpy(
            np.stack([render(plan, read) for plan in plans[start : start + BATCH]])
        )
        blocks = encoder.raw(waveform)[:, :, mels:]  # (B, T, 560)
        logmel = encoder.frontend(waveform).transpose(1, 2)  # (B, 2 T halves of 4 hops, mels)
        halves = pool_frames(logmel, FRAME_MEL_HOPS // 2)
        halves = halves[:, : 2 * blocks.shape[1]].unflatten(1, (-1, 2)).flatten(2)  # (B, T, 2 mels)
        frames = torch.cat([blocks[:, : halves.shape[1]], halves], dim=2)
        parts.append(frames.flatten(0, 1)[:, :WIDTH])
        print(f"\rrendering and encoding: {min(start + BATCH, clips)}/{clips} clips", end="")
    print()
    return torch.cat(parts)[:count].numpy()
