"""What makes a training step fast without changing what it computes: half precision, compiling."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

Precision = Literal["float32", "bfloat16"]
# Names under which our networks hold parts that repeat. One part at a time, the compiler makes
# code for the first and reuses it for the others: seconds instead of minutes for a whole network.
REPEATED = ("blocks", "stages")


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


def compile_blocks(module: nn.Module) -> int:
    """Compile all parts that repeat, in place: names and weights stay. Returns how many."""
    parts = [
        part
        for name, several in module.named_modules()
        if name.rsplit(".", 1)[-1] in REPEATED
        for part in several.children()
    ]
    for part in parts:
        part.compile()
    return len(parts)
