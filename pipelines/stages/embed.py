"""embed: frame embeddings of a dataset, from an encoder or from a layer of a trained model."""

from dataclasses import dataclass, field, replace
from typing import Any

from cluster.storage.filesystems import absolute
from pipelines.inference.calibrate import TRAINING_SUBSETS, CalibrationSettings, calibrate
from pipelines.inference.frame_job import InferenceSettings, clips_of, run_frame_job
from pipelines.inference.layers import layer_function
from pipelines.inference.weights import weights_fingerprint, weights_url
from pipelines.runtime.stage import Stage, fingerprint_of, run_stage
from pipelines.runtime.urls import (
    dataset_fingerprint,
    join,
    read_checkpoint,
    write_checkpoint,
)
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import pack_encoder

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

ENCODER = "encoder"


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """Which frames are kept of which clips."""

    # input: the encoder's calibrated inputs; encoder: its frames; context, context1, ...
    layer: str = "input"
    # One random frame of so many; 1 keeps all, so that later stages can read them as a cache.
    keep_every: int = 1
    # Which clips are embedded; with none, the encoder is calibrated and that is all.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # How the encoder's standardisation is fitted.
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    # Windows and batches.
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    # Of the choice of frames.
    seed: int = 0


def embed(
    dataset_url: str,
    out: str,
    settings: EmbedSettings,
    *,
    encoder: EncoderSettings | None = None,
    model: str | None = None,
    cached_inputs: str | None = None,
    name: str = "embed",
    fresh: bool = False,
) -> str:
    """Embed a dataset; returns the URL of the embeddings.

    Args:
        dataset_url: the dataset.
        out: the folder of the embeddings.
        settings: layer, subsets, sampling.
        encoder: the encoder to calibrate and to embed with, or
        model: the URL of the checkpoint to embed with.
        cached_inputs: URL of embeddings of the layer `input` of all frames, to read instead of
            audio; they must come from the model's own encoder.
        name: of the stage.
        fresh: start over.
    """
    dataset_url, out = absolute(dataset_url), absolute(out)
    inputs = {"dataset": dataset_fingerprint(dataset_url)}
    if encoder is not None and encoder.weights is not None:
        encoder = replace(encoder, weights=weights_url(encoder.weights))
        inputs["weights"] = weights_fingerprint(encoder.weights)
    if model is not None:
        inputs["model"] = read_checkpoint(model).fingerprint
    if cached_inputs is not None:
        inputs["cached_inputs"] = fingerprint_of(cached_inputs)

    def work(stage: Stage) -> dict[str, Any]:
        if model is not None:
            checkpoint = absolute(model)
        else:
            chosen = encoder or EncoderSettings()
            subsets = settings.subsets or settings.calibration.subsets
            rows = clips_of(dataset_url, subsets)
            calibrated = calibrate(stage, dataset_url, rows, chosen, settings.calibration)
            write_checkpoint(stage.store, ENCODER, pack_encoder(calibrated))
            checkpoint = join(out, ENCODER)
        if not settings.subsets and model is None:
            return {"clips": 0, "frames": 0, "outputs": [], "checkpoint": checkpoint}
        result = run_frame_job(
            stage,
            dataset_url,
            clips_of(dataset_url, settings.subsets),
            layer_function,
            {"checkpoint": checkpoint, "layer": settings.layer},
            settings.inference,
            inputs=cached_inputs,
            keep_every=settings.keep_every,
            seed=settings.seed,
        )
        return {**result, "checkpoint": checkpoint}

    counted = replace(settings, inference=settings.inference.of_results())
    run_stage(
        name,
        out,
        work,
        settings=_Identity(counted, encoder),
        inputs=inputs,
        version=ALGORITHM_VERSION,
        fresh=fresh,
    )
    return out


@dataclass(frozen=True)
class _Identity:
    settings: EmbedSettings
    encoder: EncoderSettings | None
