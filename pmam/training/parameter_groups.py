"""Which parameters learn at which rate: PMAM's groups, as a function of names alone."""

import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

Group = Literal["passt", "passt_top", "cnn", "decoder", "head"]
GROUP_NAMES: tuple[Group, ...] = get_args(Group)

# Names of our modules, below the backbone; the first that fits decides. PMAM counts the norm of
# the frames and the clip branch as heads, the pooling over frequency as part of the decoder.
GROUPS: tuple[tuple[str, Group], ...] = (
    (r"backbone\.encoder\.transformer\.passt\.(norm|blocks\.(8|9|10|11))\.", "passt_top"),
    (r"backbone\.encoder\.transformer\.passt\.", "passt"),
    (r"backbone\.encoder\.transformer\.out_norm\.", "head"),
    (r"backbone\.encoder\.transformer\.pool\.", "decoder"),
    (r"backbone\.encoder\.", "cnn"),
    (r"backbone\.clip_pooling\.", "head"),
    (r"backbone\.", "decoder"),
    (r"", "head"),
)


def group_of(name: str) -> Group:
    """The group of a parameter, by its name in a model: a detector, or a masked audio model.

    Of encoders without a PaSST all is `cnn`.
    """
    return next(group for pattern, group in GROUPS if re.search(rf"(^|\.){pattern}", name))


@dataclass(frozen=True, kw_only=True)
class GroupRates:
    """The learning rate of each group and the weight decay of PaSST; 0 freezes a group."""

    # PaSST: patches, position tables and the lower blocks,
    passt_lr: float = 0.0
    # and blocks 8 to 11 with the last norm.
    passt_top_lr: float = 0.0
    # Weight decay of both.
    passt_weight_decay: float = 1e-4
    # Any other encoder.
    cnn_lr: float = 0.0
    # Pooling over frequency, projectors and context network.
    decoder_lr: float = 0.0
    # Whether the weight that merges CNN and PaSST is trained too.
    merge_weight: bool = False
    # Everything else.
    head_lr: float = 0.0

    def __post_init__(self) -> None:
        for name in (*(f"{group}_lr" for group in GROUP_NAMES), "passt_weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"groups.{name} {getattr(self, name)}: expected 0 or more")
        if self.merge_weight and not self.set:
            raise ValueError(
                "groups.merge_weight, but every group's rate is 0: expected one above 0, or none"
            )

    @property
    def set(self) -> bool:
        """Whether any group learns; where none does, these rates are not in use."""
        return any(self.rate(group) > 0 for group in GROUP_NAMES)

    def rate(self, group: Group) -> float:
        """The learning rate of a group."""
        rate: float = getattr(self, f"{group}_lr")
        return rate

    def trains(self, name: str) -> bool:
        """Whether a parameter of this name is trained."""
        if name.endswith("projector.merge_weight") and not self.merge_weight:
            return False
        return self.rate(group_of(name)) > 0

    def weight_decay(self, group: Group, of_others: float) -> float:
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
