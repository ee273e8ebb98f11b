"""embed: frame embeddings of a dataset, from an encoder or from a layer of a trained model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipelines.inference.calibrate import MOMENTS, calibrate
from pipelines.inference.frame_job import clips_of, run_frame_job
from pipelines.inference.layers import layer_function
from pipelines.inference.weights import weights_fingerprint, weights_url
from pipelines.runtime.declared import CheckpointUrl, DatasetUrl, StageUrl, Work, stage_function
from pipelines.runtime.files.urls import join, write_checkpoint
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import RESULTS
from pipelines.stages.settings import EmbedSettings
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import pack_encoder

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

ENCODER = "encoder"


@stage_function(ALGORITHM_VERSION)
def embed(
    dataset: DatasetUrl,
    out: str,
    settings: EmbedSettings,
    *,
    encoder: EncoderSettings | None = None,
    model: CheckpointUrl | None = None,
    cached_inputs: StageUrl | None = None,
    name: str = "embed",
    fresh: bool = False,
) -> Work:
    """Embed a dataset; returns the URL of the embeddings.

    Args:
        dataset: the dataset.
        out: the folder of the embeddings.
        settings: layer, subsets, sampling.
        encoder: the encoder to calibrate and to embed with, or
        model: the URL of the checkpoint to embed with.
        cached_inputs: URL of embeddings of the layer `input` of all frames, to read instead of
            audio; they must come from the model's own encoder.
        name: of the stage.
        fresh: start over.
    """
    inputs: dict[str, str] = {}
    if encoder is not None and encoder.weights is not None:
        weights = weights_url(encoder.weights)
        encoder, inputs = (
            replace(encoder, weights=weights),
            {"weights": weights_fingerprint(weights)},
        )

    def work(stage: Stage) -> dict[str, Any]:
        if model is not None:
            checkpoint = model
        else:
            chosen = encoder or EncoderSettings()
            subsets = settings.subsets or settings.calibration.subsets
            rows = clips_of(dataset, subsets)
            calibrated = calibrate(stage, dataset, rows, chosen, settings.calibration)
            write_checkpoint(stage.store, ENCODER, pack_encoder(calibrated))
            checkpoint = join(out, ENCODER)
        if not settings.subsets and model is None:
            return {"clips": 0, "frames": 0, "outputs": [], "checkpoint": checkpoint}
        result = run_frame_job(
            stage,
            dataset,
            clips_of(dataset, settings.subsets),
            layer_function,
            {"checkpoint": checkpoint, "layer": settings.layer},
            settings.inference,
            inputs=cached_inputs,
            keep_every=settings.keep_every,
            seed=settings.seed,
        )
        return {**result, "checkpoint": checkpoint}

    identity = replace(settings, inference=settings.inference.of_results())
    return Work(
        do=work,
        settings=_Identity(identity, encoder),
        inputs=inputs,
        summary=_summary,
        working=(RESULTS, MOMENTS),
    )


@dataclass(frozen=True)
class _Identity:
    settings: EmbedSettings
    encoder: EncoderSettings | None


def _summary(result: Mapping[str, Any]) -> str:
    if not result["clips"]:
        return "calibrated the encoder"
    return f"embedded {counted(result['clips'], 'clip')}, {counted(result['frames'], 'frame')},"
