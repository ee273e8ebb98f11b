"""A packed dataset with frame embeddings that no encoder made, for fits."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import packing
import tiny_models

from pipelines.runtime.files.urls import write_checkpoint
from pipelines.runtime.stage import run_stage
from pmam.models.checkpoint import pack_encoder
from shards.clip import Clip
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Nothing:
    """Settings of a stage that has none."""


def write_dataset(folder: Path, clips: int) -> str:
    """Unlabelled clips of noise."""
    names = [f"{number}.wav" for number in range(clips)]
    for number, name in enumerate(names):
        packing.write_noise(folder / name, seed=number, seconds=0.1)
    rows = [Clip(source_id=name, audio=name, subset="unlabeled") for name in names]
    packing.pack(folder, rows, folder / "dataset", target_bytes=10**9)
    return str(folder / "dataset")


def keys(dataset: str) -> list[str]:
    from pipelines.runtime.files.urls import open_dataset

    return [row.key for row in open_dataset(dataset).rows]


def frames_of(count: int, width: int, components: int, seed: int, spread: float = 4.0) -> Floats:
    """Frames of a few clusters, whose centres no seed changes."""
    generator = np.random.default_rng(seed)
    centers = spread * np.random.default_rng(99).standard_normal((components, width))
    labels = generator.integers(components, size=count)
    x = centers[labels] + generator.standard_normal((count, width))
    return x.astype(np.float32)


def uneven(dataset: str, width: int, components: int) -> dict[str, Floats]:
    """Frames of each clip, in clusters that overlap; clips differ much in length."""
    return {
        key: frames_of(5 + 17 * (n % 7) ** 2, width, components, seed=n, spread=1.5)
        for n, key in enumerate(keys(dataset))
    }


def write_stage(
    folder: Path,
    files: list[dict[str, Floats]],
    name: str = "embed",
    every: int = 1,
    **changes: object,
) -> str:
    """Frame files as a finished stage has them, with an encoder beside.

    `every` keeps one frame of so many, with its position.
    """
    width = next(iter(files[0].values())).shape[1]
    spec = {"kind": "features", "width": width, "dtype": "float32", "hop_s": 0.08, **changes}

    def work(stage):  # type: ignore[no-untyped-def]
        write_checkpoint(stage.store, "encoder", pack_encoder(tiny_models.backbone().encoder))
        outputs = []
        for number, rows in enumerate(files):
            outputs.append(f"frames/{number}.arrow")
            path = folder / outputs[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            with FrameWriter(path, FrameSpec(**spec)) as writer:
                for key, frames in rows.items():
                    positions = None if every == 1 else np.arange(0, len(frames), every)
                    writer.add(key, frames[::every], positions)
        return {"outputs": outputs, "checkpoint": str(folder / "encoder")}

    run_stage(name, str(folder), work, settings=_Nothing(), inputs={}, version=1)
    return str(folder)
