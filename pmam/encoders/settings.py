"""Settings of encoders: which one, low-rank changes of it, windows that it slides."""

import math
from dataclasses import dataclass

from pmam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """Which encoder, and how its inputs are prepared."""

    # Encoder: small_cnn, cnn (from scratch), mn04, mn10 (EfficientAT, frozen), passt, passt_cnn
    # (PMAM), m2d, m2d_608, m2d_40ms (M2D).
    name: str = "small_cnn"
    # File of pretrained weights, for encoders that are not trained from scratch.
    weights: str | None = None
    # Principal components of the standardised inputs that are kept; None keeps all inputs.
    pca: int | None = None
    # PaSST block whose tokens become frames, for encoders that contain PaSST.
    transformer_layer: int = 10
    # Random seed for the initial weights of what is trained from scratch.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """How a pretrained transformer is changed in pretraining; PMAM: rank 8, alpha 1."""

    # Rank of each low-rank change; 0 trains the encoder's own weights instead.
    rank: int = 0
    # Scale of the changes: each is multiplied by alpha / rank.
    alpha: float = 1.0
    # First transformer block that is trained, counted from 0; those below stay frozen.
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

    # Window length in input frames of 10 ms each; 0 uses no windows.
    frames: int = 0
    # Distance between the starts of neighbouring windows, in input frames.
    step: int = 31
    # Weight of the windows' frames when mixed with those of the whole clip, 0 to 1.
    mix: float = 0.5
    # Whether frames behind the last window count as zeros, as in PMAM's code, or stay unmixed.
    zeros_behind: bool = False

    def __post_init__(self) -> None:
        if self.frames < 0 or self.step < 1 or not 0 <= self.mix <= 1:
            raise InputError(
                f"sliding windows of {self.frames} frames every {self.step}, mixed {self.mix}: "
                "expected at least 0 frames, a step of at least 1 and a share between 0 and 1"
            )
        if self.frames and self.frames < 16:
            raise InputError(f"sliding windows of {self.frames} frames: expected at least 16")
