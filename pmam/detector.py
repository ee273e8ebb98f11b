"""The models: an encoder and a context network, with a masked head or an event head."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pmam.context import TransformerXL
from pmam.encoders import EncoderSettings, build_encoder


@dataclass(frozen=True, kw_only=True)
class ContextSettings:
    """The size of the context network."""

    # Channels of its frames.
    width: int = 96
    # Transformer blocks.
    layers: int = 3
    # Attention heads, which share the width.
    heads: int = 4
    # Channels inside each block's MLP.
    hidden: int = 192
    # Of attention weights and of what each part adds.
    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Everything that shapes the backbone."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    context: ContextSettings = field(default_factory=ContextSettings)


class Backbone(nn.Module):
    """Inputs of the encoder to context frames; masking happens between its two halves."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        context = settings.context
        self.encoder = build_encoder(settings.encoder)
        self.projector = nn.Linear(self.encoder.width, context.width)
        self.context = TransformerXL(
            context.width, context.layers, context.heads, context.hidden, context.dropout
        )

    def embed(self, inputs: Tensor) -> Tensor:
        """`(B, input frames, channels)` to projected frames `(B, T, width)`."""
        projected: Tensor = self.projector(self.encoder(inputs))
        return projected

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Tensor:
        """`(B, input frames, channels)` to context frames `(B, T, width)`."""
        frames: Tensor = self.context(self.embed(inputs), padding)
        return frames

    def depth_of(self, layer: str) -> int | None:
        """Blocks below a layer: 0 for the encoder's frames, None for its inputs.

        `input` are the calibrated inputs, `encoder` the trained encoder's frames, `context` the
        last block, `context1` the first block and so on.
        """
        blocks = len(self.context.blocks)
        depths = {"input": None, "encoder": 0, "context": blocks}
        depths |= {f"context{n}": n for n in range(1, blocks + 1)}
        if layer not in depths:
            raise ValueError(f"layer {layer!r}: expected one of {', '.join(depths)}")
        return depths[layer]

    def layer(self, inputs: Tensor, layer: str) -> Tensor:
        """Features of a layer, `(B, T, channels)`, at the hop of the encoder."""
        depth = self.depth_of(layer)
        if depth is None:
            return self.encoder.pooled_inputs(inputs)
        frames: Tensor = self.encoder(inputs)
        if depth == 0:
            return frames
        context: Tensor = self.context(self.projector(frames), layers=depth)
        return context

    def layer_width(self, layer: str) -> int:
        """Channels of a layer."""
        depth = self.depth_of(layer)
        if depth is None:
            return self.encoder.calibration.width
        return self.settings.context.width if depth else self.encoder.width


class MaskedAudioModel(nn.Module):
    """Predicts, for masked frames, a vector in the space of the prototypes' means."""

    def __init__(self, backbone: Backbone, prototype_width: int) -> None:
        super().__init__()
        width = backbone.settings.context.width
        self.backbone = backbone
        self.prototype_width = prototype_width
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, prototype_width)
        )

    def predict(self, projected: Tensor, padding: Tensor | None = None) -> Tensor:
        """Projected (and masked) frames `(B, T, width)` to `(B, T, prototype width)`."""
        predicted: Tensor = self.head(self.backbone.context(projected, padding))
        return predicted


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detector says, as probabilities."""

    frames: Tensor  # (B, T, classes)
    clips: Tensor  # (B, classes)


def linear_softmax(frames: Tensor, padding: Tensor | None = None) -> Tensor:
    """Clip probabilities `sum_t p^2 / sum_t p` (arXiv 1810.09050): `(B, T, C)` to `(B, C)`.

    Padded frames count for nothing; a clip of padding alone gets 0.
    """
    if padding is not None:
        frames = frames.masked_fill(padding[..., None], 0.0)
    total = frames.sum(dim=1)
    return (frames.square().sum(dim=1) / total.clamp_min(1e-7)).clamp(0.0, 1.0)


class Detector(nn.Module):
    """The sound-event detector: probabilities of each class in each frame and in the clip."""

    def __init__(self, backbone: Backbone, classes: tuple[str, ...]) -> None:
        super().__init__()
        if not classes:
            raise ValueError("a detector needs at least one class: label some training clips")
        self.classes = classes
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.settings.context.width, len(classes))

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Detection:
        """`inputs (B, input frames, channels)`, `padding (B, T)` true on frames to ignore."""
        frames = torch.sigmoid(self.classifier(self.backbone(inputs, padding)))
        return Detection(frames=frames, clips=linear_softmax(frames, padding))
