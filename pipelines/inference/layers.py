"""Models by URL, and the features of their layers as functions that frame jobs apply."""

from collections.abc import Callable

import torch

from pipelines.inference.frame_job import FrameFunction
from pipelines.runtime.files.urls import read_checkpoint
from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import CheckpointError, unpack
from pmam.models.detector import FrameDetector
from pmam.weak_labels.detector import WeakDetector
from shards.frames.reader import FrameSpec


def layer_function(checkpoint: str, layer: str) -> FrameFunction:
    """The features of a layer, from the checkpoint of an encoder or of a trained model."""
    model = unpack(read_checkpoint(checkpoint), checkpoint)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    if isinstance(model, WeakDetector):
        raise CheckpointError(
            f"{checkpoint}: a network for weak labels, whose layers are of its own kind; expected "
            "an encoder, a pretrained model or a detector of `pmam finetune`"
        )
    if isinstance(model, FrameEncoder):
        encoder, (apply, width) = model, _untrained_layer(model, layer, checkpoint)
    else:
        backbone = model.backbone
        encoder, width = backbone.encoder, backbone.layer_width(layer)

        def apply(inputs: torch.Tensor) -> torch.Tensor:
            return backbone.layer(inputs, layer)

    spec = FrameSpec(kind="features", width=width, dtype="float16", hop_s=encoder.hop_s)
    return FrameFunction(encoder=encoder, apply=apply, spec=spec)


def _untrained_layer(
    encoder: FrameEncoder, layer: str, checkpoint: str
) -> tuple[Callable[[torch.Tensor], torch.Tensor], int]:
    """A layer of an encoder that was never trained further: what it is, and how wide."""
    if layer == "input":
        return encoder.pooled_inputs, encoder.calibration.width
    if layer not in encoder.published_parts:
        there = ", ".join(["input", *encoder.published_parts])
        raise CheckpointError(
            f"layer {layer!r} of {checkpoint}: the encoder {encoder.settings.name} by itself has "
            f"{there}; other layers come from a pretrained model or a detector"
        )
    width = len(range(encoder.width)[encoder.parts[layer]])
    return lambda inputs: encoder.part(inputs, layer), width


def load_detector(checkpoint: str) -> FrameDetector:
    """The detector at a URL.

    Raises:
        CheckpointError: it is none, or another kind of model.
    """
    model = unpack(read_checkpoint(checkpoint), checkpoint)
    if not isinstance(model, FrameDetector):
        raise CheckpointError(
            f"{checkpoint}: a {type(model).__name__}, expected a detector; fine-tune it first"
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu")
