"""The loss of probabilities that are no logits."""

import torch
from torch import Tensor, nn


def binary_cross_entropy(probabilities: Tensor, targets: Tensor) -> Tensor:
    """`-t ln p - (1 - t) ln(1 - p)` of two equal shapes: finite at 0 and 1, NaN at NaN."""
    # torch refuses NaN in words of its own; on a GPU it takes the whole process down.
    broken = probabilities.isnan()
    losses = nn.functional.binary_cross_entropy(
        probabilities.masked_fill(broken, 0.0), targets, reduction="none"
    )
    return torch.where(broken, probabilities, losses)  # its gradient is NaN too: all workers stop
