"""Settings of the objectives: what is masked, and the losses of pretraining and fine-tuning."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from pmam.augment.settings import AugmentSettings
from pmam.encoders.settings import LoraSettings
from pmam.errors import InputError
from pmam.objectives.losses.registry import PRETEXTS

# Of the logits of prototypes (arXiv 2409.17656).
TEMPERATURE = 0.1
# Of the clip-level loss of pretraining beside that of frames (PMAM).
WEIGHT = 0.1


@dataclass(frozen=True, kw_only=True)
class MaskSettings:
    """How much is masked, in what blocks, and what stands in its place."""

    # Share of the blocks that are masked, 0 to 1.
    rate: float = 0.8
    # Length of a masked block, in seconds.
    block_s: float = 0.1
    # Share of the masked frames that are replaced by the mask token.
    token_share: float = 0.9
    # Share of the masked frames that are replaced by a random frame; the remainder is left
    # unchanged.
    random_share: float = 0.05
    # Whether `int(rate * blocks) + 1` whole blocks are masked and never a short last one, as in
    # PMAM's code.
    one_more_block: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise InputError(f"mask rate {self.rate}: expected a share between 0 and 1")
        if not 0 < self.block_s < math.inf:
            raise InputError(f"mask blocks of {self.block_s} s: expected a positive length")
        if min(self.token_share, self.random_share) < 0 or self.token_share + self.random_share > 1:
            raise InputError(
                f"mask shares {self.token_share} token + {self.random_share} random: "
                "expected shares of at least 0 whose sum is at most 1"
            )

    def block_frames(self, hop_s: float) -> int:
        """Frames of a block."""
        return max(1, round(self.block_s / hop_s))

    def check(self, length_s: float, hop_s: float) -> None:
        """Refuse blocks that do not fit examples of a length in frames of `hop_s`.

        Raises:
            InputError: a block is shorter than a frame, or so long that of an example nothing is
                masked, or all of it where `rate` leaves some.
        """
        if self.block_s < (1 - 1e-6) * hop_s:
            raise InputError(
                f"mask.block_s {self.block_s:g}: shorter than a frame of the encoder, {hop_s:g} s; "
                "set it to that or more"
            )
        frames, size = max(1, round(length_s / hop_s)), self.block_frames(hop_s)
        blocks = frames // size if self.one_more_block else -(-frames // size)
        masked = masked_blocks(blocks, self.rate, one_more=self.one_more_block)
        if self.rate > 0 and (masked == 0 or (self.rate < 1 and masked == blocks)):
            raise InputError(
                f"mask.block_s {self.block_s:g}: at a rate of {self.rate:g}, {masked} of the "
                f"{blocks} blocks in {length_s:g} s are masked; expected some and not all: set "
                "shorter blocks, another mask.rate or a longer training.crop_s"
            )


def masked_blocks(blocks: int, rate: float, *, one_more: bool = False) -> int:
    """How many of an example's blocks are masked: see `block_mask`."""
    if rate == 0:
        return 0
    return min(int(rate * blocks) + 1, blocks) if one_more else max(round(rate * blocks), 1)


@dataclass(frozen=True, kw_only=True)
class PretextSettings:
    """Masking, augmentation and loss of masked pretraining."""

    # Masking of frames.
    mask: MaskSettings = field(default_factory=MaskSettings)
    # Loss on masked frames: prototype_bce, info_nce, cross_entropy, softmax_cross_entropy, focal or
    # label_smoothing.
    objective: str = "prototype_bce"
    # Weight of an unmasked frame in that loss, where a masked frame weighs 1; published: 0.
    unmasked_weight: float = 0.0
    # Temperature of the predicted logits; published: 0.1, higher values give softer predictions.
    temperature: float = TEMPERATURE
    # Augmentation of the clips before they are masked.
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    # LoRA: low-rank changes of a pretrained transformer, which is frozen otherwise.
    lora: LoraSettings = field(default_factory=LoraSettings)
    # Weight of the clip-level loss, for encoders with a clip branch.
    clip_weight: float = WEIGHT

    def __post_init__(self) -> None:
        if self.augment.time_mask_s > 0:
            raise InputError(
                f"time_mask_s {self.augment.time_mask_s}: expected 0 in pretraining, where "
                "silenced frames would have no posteriors; set mask.rate instead"
            )
        if self.objective not in PRETEXTS:
            raise InputError(f"objective {self.objective!r}: expected one of {', '.join(PRETEXTS)}")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"pretext.temperature {self.temperature}: expected a number above 0")
        if not 0 <= self.unmasked_weight < math.inf:
            raise InputError(f"unmasked_weight {self.unmasked_weight}: expected 0 or more")


@dataclass(frozen=True, kw_only=True)
class AuxiliarySettings:
    """Prediction of prototypes on unlabelled clips, beside the losses of fine-tuning."""

    # Weight of the auxiliary loss; 0 switches it off, and so does a run without iterations, which
    # has no prototypes.
    weight: float = 0.0
    # Masking of the unlabelled clips' frames.
    mask: MaskSettings = field(default_factory=MaskSettings)
    # Loss on masked frames, by the names of pretraining.
    objective: str = "prototype_bce"
    # Temperature of the predicted logits.
    temperature: float = TEMPERATURE
    # Learning rate of the head that predicts prototypes.
    head_lr: float = 2e-3

    def __post_init__(self) -> None:
        if not 0 <= self.weight < math.inf or not 0 <= self.head_lr < math.inf:
            raise InputError(
                f"auxiliary weight {self.weight}, head_lr {self.head_lr}: expected 0 or more"
            )
        if self.objective not in PRETEXTS:
            raise InputError(f"objective {self.objective!r}: expected one of {', '.join(PRETEXTS)}")
        if not 0 < self.temperature < math.inf:
            raise InputError(f"auxiliary.temperature {self.temperature}: expected a number above 0")


@dataclass(frozen=True, kw_only=True)
class FinetuneLossSettings:
    """The weights of the losses, and what they train.

    PMAM's two stages are two of these: first `trained="heads"` with a consistency weight of 2 and
    a linear ramp, then all with a weight of 40 and a sigmoid ramp.
    """

    # Weight of the clip-level loss relative to the frame-level loss.
    weak_weight: float = 0.5
    # Weight of the clip branch's loss, for detectors with a clip branch.
    branch_weight: float = 2.0
    # Largest weight of the consistency loss between student and teacher; 0 switches it off.
    consistency_weight: float = 2.0
    # Weight of the clip-level distance within the consistency loss.
    consistency_weak_weight: float = 0.5
    # Weight of the clip branches' distance within the consistency loss.
    consistency_branch_weight: float = 2.0
    # Weight of the mean squared error of the encoder's inputs, reconstructed from the context
    # network's frames; 0 switches it off.
    reconstruction_weight: float = 0.0
    # Number of steps over which the weight of the consistency loss rises.
    consistency_ramp_steps: int = 100
    # Shape of the rise of the consistency loss's weight.
    consistency_ramp: Literal["exponential", "linear", "sigmoid"] = "exponential"
    # Output of the teacher that the student's clip output follows; PMAM's code takes the clip
    # branch.
    consistency_clips_from: Literal["clips", "branch"] = "clips"
    # Parameters that are trained: all of them, or the heads alone.
    trained: Literal["all", "heads"] = "all"

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, str) and not 0 <= value < math.inf:
                raise InputError(f"losses.{each.name} {value}: expected 0 or more")
