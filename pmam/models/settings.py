"""Settings of the models: encoder and context network, and how a detector reads them."""

from dataclasses import dataclass, field

from pmam.encoders.settings import EncoderSettings, SlidingSettings
from pmam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ContextSettings:
    """The kind and the size of the context network."""

    # Context network: transformer_xl, gru, conformer or none.
    network: str = "transformer_xl"
    # Number of channels of the context network's frames.
    width: int = 96
    # Number of blocks of the context network.
    layers: int = 3
    # Number of attention heads, which divide the width among them.
    heads: int = 4
    # Number of hidden channels in each block's MLPs.
    hidden: int = 192
    # Dropout probability.
    dropout: float = 0.1

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.hidden)
        if min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise InputError(
                f"context of width {self.width}, {self.layers} layers, {self.heads} heads, "
                f"{self.hidden} hidden channels, dropout {self.dropout}: expected sizes of at "
                "least 1 and a share below 1"
            )


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Everything that shapes the backbone."""

    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    context: ContextSettings = field(default_factory=ContextSettings)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """How a detector reads its backbone."""

    # Temperature that frame logits are divided by in evaluation.
    temperature: float = 1.0
    # Sliding windows of the encoder in evaluation.
    sliding: SlidingSettings = field(default_factory=SlidingSettings)

    # Sliding windows of the encoder as a teacher in training.
    teacher_sliding: SlidingSettings = field(default_factory=SlidingSettings)

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"temperature {self.temperature}: expected a number above 0")
