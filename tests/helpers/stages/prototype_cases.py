"""A small dataset with posteriors that are known, without the models that would compute them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import packing
import soundfile as sf
import torch

from pipelines.runtime.files.urls import (
    dataset_fingerprint,
    prototypes_fingerprint,
    store,
    write_prototypes,
)
from pipelines.runtime.stage import Stage, run_stage
from pmam.prototypes.artifact import Prototypes
from shards.clip import Clip, Event
from shards.dataset import Dataset
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter

RATE_HZ, HOP_S, SECONDS, K = 8000, 0.1, 3.0, 4
FRAMES = round(SECONDS / HOP_S)
DOG, CAT = Event(0.52, 1.48, "dog"), Event(1.2, 2.0, "cat")
# Name: subset, events, tags.
CLIPS: Mapping[str, tuple[str, list[Event] | None, tuple[str, ...] | None]] = {
    "s1": ("strong", [DOG], None),
    "s2": ("strong", [DOG, CAT], None),
    "s3": ("strong", [], None),
    "w1": ("weak", None, ("cat",)),
    "w2": ("weak", None, ("cat", "dog")),
    "u1": ("unlabeled", None, None),
    "u2": ("unlabeled", None, None),
}


def write_dataset(folder: Path, names: tuple[str, ...] = tuple(CLIPS)) -> Dataset:
    """Clips of noise, a tone where a dog is."""
    generator = np.random.default_rng(0)
    time_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    clips = []
    (folder / "source").mkdir(parents=True)
    for name in names:
        subset, events, weak = CLIPS[name]
        samples = 0.01 * generator.standard_normal(len(time_s))
        dog = (time_s >= DOG.onset_s) & (time_s < DOG.offset_s)
        samples += 0.2 * dog * np.sin(2 * np.pi * 1000 * time_s)
        sf.write(folder / "source" / f"{name}.flac", samples, RATE_HZ)
        audio, found = f"{name}.flac", None if events is None else tuple(events)
        clips.append(Clip(source_id=name, audio=audio, subset=subset, weak=weak, events=found))
    return packing.pack(folder / "source", clips, folder / "dataset", target_bytes=60_000)[0]


def write_fit(folder: Path, kind: str = "gmm", encoder: str = "of-tests") -> str:
    """K prototypes of two dimensions; the last one is far from everything."""
    means = torch.tensor([[0.0, 0], [4, 0], [0, 4], [1000, 1000]], dtype=torch.float64)
    weights = torch.full((K,), 1 / K, dtype=torch.float64)
    mixture: dict[str, Any] = {}
    if kind == "gmm":
        mixture = {"covariance_type": "full", "covariances": torch.eye(2).double().repeat(K, 1, 1)}
    fitted = Prototypes(kind=kind, weights=weights, means=means, encoder=encoder, **mixture)
    write_prototypes(store(str(folder)), fitted)
    return str(folder)


def features(row: Any, seed: int = 0) -> np.ndarray:
    """Frames `(n, 2)`: near the second mean where the tone is, else near the first or third."""
    generator = np.random.default_rng([seed, *row.key.encode()])
    centre = np.array([[0.0, 0], [4, 0], [0, 4]])
    times_s = (np.arange(FRAMES) + 0.5) * HOP_S
    kinds = np.where((times_s > DOG.onset_s) & (times_s < DOG.offset_s), 1, 2 * (times_s > 2.2))
    return (centre[kinds] + generator.standard_normal((FRAMES, 2))).astype(np.float32)


def write_posteriors(
    dataset: Dataset,
    dataset_url: str,
    fit: str,
    out: str,
    posteriors: Callable[[Any], np.ndarray],
    scratch: Path,
) -> str:
    """As `label` writes them, a file per shard."""
    spec = FrameSpec(kind="posteriors", width=K, dtype="float32", hop_s=HOP_S)
    inputs = {
        "dataset": dataset_fingerprint(dataset_url),
        "prototypes": prototypes_fingerprint(fit),
    }

    def work(stage: Stage) -> dict[str, Any]:
        return {"outputs": _write_frames(stage, dataset, spec, posteriors, scratch)}

    run_stage("label", out, work, settings=spec, inputs=inputs, version=1)
    return out


def write_embeddings(dataset: Dataset, out: str, checkpoint: str, scratch: Path) -> str:
    """As `embed` writes them, by the encoder of a checkpoint."""
    spec = FrameSpec(kind="features", width=2, dtype="float32", hop_s=HOP_S)

    def work(stage: Stage) -> dict[str, Any]:
        names = _write_frames(stage, dataset, spec, features, scratch)
        return {"outputs": names, "checkpoint": checkpoint}

    run_stage("embed", out, work, settings=spec, inputs={}, version=1)
    return out


def _write_frames(
    stage: Stage,
    dataset: Dataset,
    spec: FrameSpec,
    frames: Callable[[Any], np.ndarray],
    scratch: Path,
) -> list[str]:
    names = []
    for number, shard in enumerate(sorted({row.shard for row in dataset.rows})):
        path = scratch / f"frames-{number}.arrow"
        with FrameWriter(path, spec) as writer:
            for row in dataset.rows:
                if row.shard == shard:
                    writer.add(row.key, frames(row))
        names.append(stage.store.publish(f"frames/{number:05d}.arrow", path))
    return names
