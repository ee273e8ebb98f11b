"""Settings of the trainer: the optimizer, its schedule, and rates of groups of parameters."""

import math
from dataclasses import dataclass, field
from typing import Literal

from pmam.errors import InputError
from pmam.training.parameter_groups import GROUP_NAMES, ParameterGroup

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True, kw_only=True)
class GroupRates:
    """The learning rate of each group and the weight decay of PaSST; 0 freezes a group."""

    # Learning rate of PaSST's patches, position tables and lower blocks.
    passt_lr: float = 0.0
    # Learning rate of PaSST's blocks 8 to 11 and its last norm.
    passt_top_lr: float = 0.0
    # AdamW weight decay of all of PaSST.
    passt_weight_decay: float = 1e-4
    # Learning rate of the CNN, or of any other encoder.
    cnn_lr: float = 0.0
    # Learning rate of pooling over frequency, projectors and context network.
    decoder_lr: float = 0.0
    # Whether the weight that merges CNN and PaSST is trained.
    merge_weight: bool = False
    # Learning rate of everything else, the heads.
    head_lr: float = 0.0

    def __post_init__(self) -> None:
        for name in (*(f"{group}_lr" for group in GROUP_NAMES), "passt_weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"groups.{name} {getattr(self, name)}: expected 0 or more")
        if self.merge_weight and not self.set:
            raise InputError(
                "groups.merge_weight, but every group's rate is 0: expected one above 0, or none"
            )

    @property
    def set(self) -> bool:
        """Whether any group learns; where none does, these rates are not in use."""
        return any(self.rate(group) > 0 for group in GROUP_NAMES)

    def rate(self, group: ParameterGroup) -> float:
        """The learning rate of a group."""
        rate: float = getattr(self, f"{group}_lr")
        return rate

    def trains(self, name: str, group: ParameterGroup) -> bool:
        """Whether a parameter of this name and group is trained."""
        if name.endswith("projector.merge_weight") and not self.merge_weight:
            return False
        return self.rate(group) > 0

    def weight_decay(self, group: ParameterGroup, of_others: float) -> float:
        """The weight decay of a group."""
        return self.passt_weight_decay if group.startswith("passt") else of_others


# PMAM's published stages (arXiv 2409.17656; the code's configurations). Pretraining has one rate
# for PaSST, but LoRA freezes what lies below block 8.
PRETRAIN = GroupRates(
    passt_top_lr=5e-6,
    passt_weight_decay=1.0,
    cnn_lr=1.5e-4,
    decoder_lr=1.5e-4,
    merge_weight=True,
    head_lr=2e-4,
)


FINETUNE_HEADS = GroupRates(head_lr=2e-4)


FINETUNE_ALL = GroupRates(
    passt_lr=7.5e-6, passt_top_lr=1.5e-5, cnn_lr=1.5e-4, decoder_lr=1.5e-4, head_lr=2e-4
)


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """A learning rate that falls where a metric of validation clips rises no more."""

    # Name of the metric, as validation logs it.
    metric: str
    # Validations in a row without a gain before the rate falls.
    patience: int = 3
    # What the rate is multiplied by then.
    factor: float = 0.1


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """AdamW with a learning rate for the body and one for the heads, and their schedule."""

    # Number of optimizer steps.
    steps: int = 200
    # Learning rate of the encoder and the context network.
    body_lr: float = 1e-3
    # Learning rate of everything else.
    head_lr: float = 1e-2
    # AdamW weight decay.
    weight_decay: float = 1e-4
    # Number of steps over which the learning rate rises from a tenth to its full value.
    warm_up_steps: int = 20
    # Whether the first step has the full rate and the rise begins at the second, as in PMAM's code.
    warm_up_late: bool = False
    # Share of the steps before the learning rate falls, 0 to 1.
    flat_share: float = 0.3
    # Natural logarithm of the ratio of the last learning rate to the first.
    down_exponent: float = -3.0
    # Largest gradient norm; longer gradients are scaled down to it.
    clip_norm: float = 1.0
    # Learning rates of PMAM's groups of parameters. Where any is above 0, they replace body_lr and
    # head_lr.
    groups: GroupRates = field(default_factory=GroupRates)

    def __post_init__(self) -> None:
        if self.steps < 0 or not 0 <= self.flat_share <= 1:
            raise InputError(
                f"{self.steps} steps, flat share {self.flat_share}: expected at least 0 steps "
                "and a share between 0 and 1"
            )
        for name in ("body_lr", "head_lr", "weight_decay", "warm_up_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} {getattr(self, name)}: expected 0 or more")
        if not self.clip_norm > 0 or not math.isfinite(self.down_exponent):
            raise InputError(
                f"clip_norm {self.clip_norm}, down_exponent {self.down_exponent}: expected a "
                "positive length and a finite exponent"
            )
