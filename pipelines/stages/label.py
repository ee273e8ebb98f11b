"""label: the posteriors of the prototypes for each frame of each training clip."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pipelines.inference.frame_job import FrameFunction, clips_of, run_frame_job
from pipelines.inference.layers import layer_function
from pipelines.runtime.declared import (
    CheckpointUrl,
    DatasetUrl,
    PrototypesUrl,
    StageUrl,
    Work,
    stage_function,
)
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import read_prototypes
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import RESULTS
from pipelines.stages.settings import LabelSettings
from shards.frames.reader import FrameSpec

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1


def posterior_function(checkpoint: str, layer: str, prototypes: str) -> FrameFunction:
    """The posteriors of a layer's features."""
    features = layer_function(checkpoint, layer)
    fitted = read_prototypes(prototypes)
    if features.spec.width != fitted.width:
        raise PipelineError(
            f"{prototypes}: prototypes of {fitted.width}-dimensional features, but layer {layer!r} "
            f"of {checkpoint} has {features.spec.width}; label with the layer they were fitted to"
        )

    def apply(inputs: torch.Tensor) -> torch.Tensor:
        # Stored embeddings are half precision; labelling sees what the fit saw.
        return fitted.posteriors(features.apply(inputs).half().float().cpu())

    width = len(fitted.weights)
    spec = FrameSpec(kind="posteriors", width=width, dtype="sparse8", hop_s=features.spec.hop_s)
    return FrameFunction(encoder=features.encoder, apply=apply, spec=spec)


@stage_function(ALGORITHM_VERSION)
def label(
    dataset: DatasetUrl,
    out: str,
    settings: LabelSettings,
    *,
    checkpoint: CheckpointUrl,
    prototypes: PrototypesUrl,
    cached_inputs: StageUrl | None = None,
    name: str = "label",
    fresh: bool = False,
) -> Work:
    """Label a dataset's clips with posteriors; returns their URL.

    Args:
        dataset: the dataset.
        out: the folder of the posteriors.
        settings: layer and subsets.
        checkpoint: the encoder or model whose features the prototypes were fitted to.
        prototypes: URL of the fit.
        cached_inputs: as for `embed`.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        rows = clips_of(dataset, settings.subsets)
        arguments = {
            "checkpoint": checkpoint,
            "layer": settings.layer,
            "prototypes": prototypes,
        }
        return run_frame_job(
            stage,
            dataset,
            rows,
            posterior_function,
            arguments,
            settings.inference,
            inputs=cached_inputs,
        )

    identity = replace(settings, inference=settings.inference.of_results())
    return Work(do=work, settings=identity, summary=_summary, working=(RESULTS,))


def _summary(result: Mapping[str, Any]) -> str:
    clips, frames = counted(result["clips"], "clip"), counted(result["frames"], "frame")
    return f"computed posteriors of {clips}, {frames},"
