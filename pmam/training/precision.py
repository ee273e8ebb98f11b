"""What makes a training step fast without changing what it computes: half precision, compiling."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pmam.training.settings import Precision

# Where our networks hold alike blocks, compiled one by one: what is made for the first serves all,
# in seconds instead of minutes;
ALIKE = "blocks"
# and stages that all differ, compiled together.
DIFFERENT = "stages"
# Kinds of call of one block that are compiled before it is left to the interpreter: student and
# teacher, frozen or not, training or scoring, a last window that is shorter. torch allows 8.
MOST_KINDS = 64


class Objective(Protocol):
    """A module with a loss that adds up over parts of a batch: pretraining, fine-tuning."""

    def share(self, part: Any, totals: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """What a part of a batch adds to the batch's loss, and to the means to log."""


class Shares(nn.Module):
    """An objective whose call is its `share`, as data-parallel training wants it.

    Args:
        objective: computes losses in single precision whatever its networks use.
        precision: `bfloat16` takes matrix products in it and keeps weights in single precision.
    """

    def __init__(self, objective: Objective, precision: Precision = "float32") -> None:
        super().__init__()
        self.objective = objective
        self.in_bfloat16 = precision == "bfloat16"

    def forward(self, part: Any, totals: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Objective.share`."""
        kind = next(iter(totals.values())).device.type
        with torch.autocast(kind, torch.bfloat16, enabled=self.in_bfloat16):
            return self.objective.share(part, totals)


def compile_blocks(module: nn.Module) -> list[nn.Module]:
    """Compile what takes the time, in place: names and weights stay. Returns what was compiled."""
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, MOST_KINDS)
    parts = []
    for inner in module.modules():
        for name, child in inner.named_children():
            if name == ALIKE:
                parts += list(child.children())
            elif name == DIFFERENT:
                parts.append(inner)
    for part in parts:
        part.compile()
    return parts
