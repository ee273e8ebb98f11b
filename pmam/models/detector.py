"""The models: an encoder and a context network, with a masked head or an event head."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pmam.encoders import EncoderSettings, build_encoder
from pmam.encoders.sliding_windows import SlidingSettings
from pmam.models.attention_pooling import AttentionPooling
from pmam.models.context.networks import build_context


@dataclass(frozen=True, kw_only=True)
class ContextSettings:
    """The kind and the size of the context network."""

    # transformer_xl, gru, conformer or none: a name in `CONTEXTS`.
    network: str = "transformer_xl"
    # Channels of its frames.
    width: int = 96
    # Blocks.
    layers: int = 3
    # Attention heads, which share the width.
    heads: int = 4
    # Channels inside each block's MLPs.
    hidden: int = 192
    # Of attention weights and of what each part adds.
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.hidden)
        if min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise ValueError(
                f"context of width {self.width}, {self.layers} layers, {self.heads} heads, "
                f"{self.hidden} hidden channels, dropout {self.dropout}: expected sizes of at "
                "least 1 and a share below 1"
            )


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
            raise ValueError(f"layer {layer!r}: expected one of {', '.join(depths)}")
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


class MaskedAudioModel(nn.Module):
    """Predicts, for masked frames, a vector in the space of the prototypes' means.

    Where the backbone has a clip branch, `branch` says which of so many `prototypes` a clip holds.
    """

    def __init__(self, backbone: Backbone, prototype_width: int, prototypes: int = 0) -> None:
        super().__init__()
        width = backbone.settings.context.width
        self.backbone = backbone
        self.prototype_width = prototype_width
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.head = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Linear(width, prototype_width)
        )
        self.prototypes = prototypes
        self.branch = clip_head(backbone, prototypes) if prototypes else None

    def predict(self, projected: Tensor, padding: Tensor | None = None) -> Tensor:
        """Projected (and masked) frames `(B, T, width)` to `(B, T, prototype width)`."""
        predicted: Tensor = self.head(self.backbone.context(projected, padding))
        return predicted


def clip_head(backbone: Backbone, classes: int) -> nn.Linear | None:
    """What makes classes of the backbone's clips, if it has any."""
    width = backbone.encoder.token_width
    return None if width is None else nn.Linear(width, classes)


def branch_probabilities(head: nn.Linear | None, clip: Tensor | None) -> Tensor | None:
    """Clips `(B, token width)` to probabilities `(B, classes)`; None without a clip branch."""
    return None if head is None or clip is None else torch.sigmoid(head(clip).float())


@dataclass(frozen=True, kw_only=True)
class Detection:
    """What the detector says, as probabilities."""

    frames: Tensor  # (B, T, classes)
    clips: Tensor  # (B, classes)
    branch: Tensor | None = None  # (B, classes), of a clip branch of its own


def linear_softmax(frames: Tensor, padding: Tensor | None = None) -> Tensor:
    """Clip probabilities `sum_t p^2 / sum_t p` (arXiv 1810.09050): `(B, T, C)` to `(B, C)`.

    Padded frames count for nothing; a clip of padding alone gets 0.
    """
    if padding is not None:
        frames = frames.masked_fill(padding[..., None], 0.0)
    total = frames.sum(dim=1)
    return (frames.square().sum(dim=1) / total.clamp_min(1e-7)).clamp(0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """How a detector reads its backbone."""

    # In evaluation, logits of frames are divided by this.
    temperature: float = 1.0
    # Windows that the encoder slides in evaluation,
    sliding: SlidingSettings = field(default_factory=SlidingSettings)

    # and in training as a teacher.
    teacher_sliding: SlidingSettings = field(default_factory=SlidingSettings)

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"temperature {self.temperature}: expected a number above 0")


PLAIN = DetectorSettings()


class Detector(nn.Module):
    """The sound-event detector: probabilities of each class in each frame and in the clip."""

    def __init__(
        self, backbone: Backbone, classes: tuple[str, ...], settings: DetectorSettings = PLAIN
    ) -> None:
        super().__init__()
        if not classes:
            raise ValueError("a detector needs at least one class: label some training clips")
        self.classes = classes
        for sliding in (settings.sliding, settings.teacher_sliding):
            backbone.encoder.check_sliding(sliding)
        self.settings = settings
        self.teaches = False
        self.backbone = backbone
        self.classifier = nn.Linear(backbone.settings.context.width, len(classes))
        self.branch = clip_head(backbone, len(classes))

    @property
    def sliding(self) -> SlidingSettings | None:
        """The windows of the encoder as things are; None for none."""
        chosen = self.settings.sliding
        if self.training:
            chosen = self.settings.teacher_sliding if self.teaches else PLAIN.sliding
        return chosen if chosen.frames else None

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Detection:
        """`inputs (B, input frames, channels)`, `padding (B, T)` true on frames to ignore."""
        projected, clip = self.backbone.embed_with_clip(inputs, self.sliding)
        context = self.backbone.context(projected, padding)
        return self.classify(context, clip, padding)

    def classify(self, context: Tensor, clip: Tensor | None, padding: Tensor | None) -> Detection:
        """Context frames `(B, T, width)` and clips `(B, token width)` to probabilities."""
        temperature = 1.0 if self.training else self.settings.temperature
        # In single precision: near 0 and 1, half of its digits leave too few probabilities.
        frames = torch.sigmoid(self.classifier(context).float() / temperature)
        branch = branch_probabilities(self.branch, clip)
        return Detection(frames=frames, clips=linear_softmax(frames, padding), branch=branch)
