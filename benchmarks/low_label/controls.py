"""Controls of the ablation as stages: pseudo labels that say nothing, and means measured anew."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.inference.frame_job import FRAMES, open_frames
from pipelines.runtime.declared import (
    NoSettings,
    PrototypesUrl,
    StageUrl,
    Work,
    stage_function,
)
from pipelines.runtime.files.urls import read_prototypes, write_prototypes
from pipelines.runtime.stage import Stage
from shards.frames.writer import FrameWriter

ALGORITHM_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class ShuffleSettings:
    """What the order depends on."""

    seed: int = 0


@stage_function(ALGORITHM_VERSION)
def shuffled(
    posteriors: StageUrl,
    out: str,
    settings: ShuffleSettings,
    *,
    name: str = "shuffled",
    fresh: bool = False,
) -> Work:
    """Posteriors of which each frame has those of a random frame; returns their URL."""

    def work(stage: Stage) -> dict[str, Any]:
        frames = open_frames(posteriors)
        keys = list(frames)
        mixed = np.concatenate([frames.read(key) for key in keys])
        mixed = mixed[np.random.default_rng(settings.seed).permutation(len(mixed))]
        output = f"{FRAMES}/all.arrow"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "all.arrow"
            with FrameWriter(path, frames.spec) as writer:
                for key in keys:
                    count = frames.count(key)
                    writer.add(key, mixed[:count])
                    mixed = mixed[count:]
            output = stage.store.publish(output, path)
        return {"clips": len(keys), "outputs": [output]}

    return Work(do=work, settings=settings)


@stage_function(ALGORITHM_VERSION)
def centred(
    prototypes: PrototypesUrl, out: str, *, name: str = "centred", fresh: bool = False
) -> Work:
    """Prototypes whose means are measured from the mean of all frames; returns their URL.

    Only their means in the space of the features are of use: these no longer fit the features.
    """

    def work(stage: Stage) -> dict[str, Any]:
        found = read_prototypes(prototypes)
        assert found.projection is not None
        mean = torch.zeros_like(found.projection.mean)
        moved = replace(found, projection=replace(found.projection, mean=mean))
        write_prototypes(stage.store, moved)
        return {"components": len(moved.means)}

    return Work(do=work, settings=NoSettings())
