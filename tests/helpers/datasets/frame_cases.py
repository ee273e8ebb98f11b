"""Small frame files."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter


def spec(**changes: Any) -> FrameSpec:
    return FrameSpec(
        **{"kind": "features", "width": 4, "dtype": "float32", "hop_s": 0.08} | changes
    )


def clips(count: int = 5, width: int = 4, seed: int = 0) -> dict[str, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    return {
        f"clip{i}": generator.random((int(generator.integers(1, 40)), width), np.float32)
        for i in range(count)
    }


def write(path: Path, rows: dict[str, Any], the_spec: FrameSpec) -> Path:
    with FrameWriter(path, the_spec) as writer:
        for key, frames in rows.items():
            writer.add(key, frames)
    return path
