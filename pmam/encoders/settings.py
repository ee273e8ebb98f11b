"""Settings of encoders: which one, low-rank changes of it, windows that it slides."""

import math
from dataclasses import dataclass

from pmam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Which encoder, and how its inputs are prepared."""

    # small_cnn, cnn (from scratch), mn04, mn10 (EfficientAT, frozen), passt, passt_cnn (PMAM).
    name: str = "small_cnn"
    # A file of pretrained weights, for encoders that are not trained from scratch.
    weights: str | None = None
    # Keep this many principal components of the standardised inputs; None keeps all.
    pca: int | None = None
    # The block of PaSST whose tokens become frames, where the encoder has one.
    transformer_layer: int = 10
    # Of the first weights of what is trained from scratch.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How a pretrained transformer is changed in pretraining; PMAM: rank 8, alpha 1."""

    # Of each change; 0 trains the encoder's own weights instead.
    rank: int = 0
    # The change is scaled by alpha / rank.
    alpha: float = 1.0
    # The first block that is changed; those below stay as they are.
    first_block: int = 8

    def __post_init__(self) -> None:
        if self.rank < 0 or self.first_block < 0 or not math.isfinite(self.alpha):
            raise InputError(
                f"LoRA of rank {self.rank}, alpha {self.alpha} from block {self.first_block}: "
                "expected a rank and a block of at least 0, and a finite alpha"
            )


@dataclass(frozen=True, kw_only=True)
class SlidingSettings:
    """The windows that a detector's encoder slides over its input, beside the whole of it."""

    # Length in frames of the input, 10 ms each; 0 slides no windows.
    frames: int = 0
    # From one window to the next.
    step: int = 31
    # Share of the windows in the mixture.
    mix: float = 0.5
    # Count the frames behind the last window as zeros, as PMAM's code does, or leave them whole.
    zeros_behind: bool = False

    def __post_init__(self) -> None:
        if self.frames < 0 or self.step < 1 or not 0 <= self.mix <= 1:
            raise InputError(
                f"sliding windows of {self.frames} frames every {self.step}, mixed {self.mix}: "
                "expected at least 0 frames, a step of at least 1 and a share between 0 and 1"
            )
        if self.frames and self.frames < 16:
            raise InputError(f"sliding windows of {self.frames} frames: expected at least 16")
