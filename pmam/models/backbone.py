"""The backbone of both models: an encoder, a projector and a context network."""

import torch
from torch import Tensor, nn

from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import SlidingSettings
from pmam.errors import InputError
from pmam.models.attention_pooling import AttentionPooling
from pmam.models.context.registry import build_context
from pmam.models.settings import ModelSettings


class Backbone(nn.Module):
    """Inputs of the encoder to context frames; masking happens between its two halves."""

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__()
        self.settings = settings
        context = settings.context
        self.encoder = build_encoder(settings.encoder)
        self.projector = self.encoder.projector(context.width)
        self.context = build_context(context)
        self.clip_pooling: AttentionPooling | None = None
        if self.encoder.token_width is not None:
            heads = self.encoder.token_heads
            self.clip_pooling = AttentionPooling(self.encoder.token_width, heads)

    def embed(self, inputs: Tensor) -> Tensor:
        """`(B, input frames, channels)` to projected frames `(B, T, width)`."""
        projected: Tensor = self.projector(self.encoder(inputs))
        return projected

    def embed_with_clip(
        self, inputs: Tensor, sliding: SlidingSettings | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Projected frames, and where the encoder has tokens for it, clips `(B, token width)`."""
        encoded = self.encoder.encode(inputs, sliding)
        clip = None
        if self.clip_pooling is not None and encoded.tokens is not None:
            clip = self.clip_pooling(encoded.tokens)
        return self.projector(encoded.frames), clip

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Tensor:
        """`(B, input frames, channels)` to context frames `(B, T, width)`."""
        frames: Tensor = self.context(self.embed(inputs), padding)
        return frames

    def depth_of(self, layer: str) -> int | None:
        """Blocks below a layer: 0 for the encoder's frames, None for its inputs.

        `input` are the calibrated inputs, `encoder` the trained encoder's frames, `context` the
        last block, `context1` the first block and so on. Encoders of several parts give each a
        name: `after_interpolate` are the frames of PaSST alone.
        """
        blocks = len(self.context.blocks)
        depths = {"input": None, "encoder": 0, "context": blocks}
        depths |= dict.fromkeys(self.encoder.parts, 0)
        depths |= {f"context{n}": n for n in range(1, blocks + 1)}
        if layer not in depths:
            raise InputError(f"layer {layer!r}: expected one of {', '.join(depths)}")
        return depths[layer]

    def layer(self, inputs: Tensor, layer: str) -> Tensor:
        """Features of a layer, `(B, T, channels)`, at the hop of the encoder."""
        depth = self.depth_of(layer)
        if depth is None:
            return self.encoder.pooled_inputs(inputs)
        if layer in self.encoder.parts:
            return self.encoder.part(inputs, layer)
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
        if depth:
            return self.settings.context.width
        return len(range(self.encoder.width)[self.encoder.parts.get(layer, slice(None))])


def clip_head(backbone: Backbone, classes: int) -> nn.Linear | None:
    """What makes classes of the backbone's clips, if it has any."""
    width = backbone.encoder.token_width
    return None if width is None else nn.Linear(width, classes)


def branch_probabilities(head: nn.Linear | None, clip: Tensor | None) -> Tensor | None:
    """Clips `(B, token width)` to probabilities `(B, classes)`; None without a clip branch."""
    return None if head is None or clip is None else torch.sigmoid(head(clip).float())
