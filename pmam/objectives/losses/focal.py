"""Variants of the prototype-wise binary cross-entropy: focal, and with smoothed labels."""

import torch
from torch import Tensor, nn

from pmam.objectives.losses.prototype_bce import prototype_logits
from pmam.objectives.settings import TEMPERATURE

# Of the focal loss: how much what is known already is discounted (arXiv 1708.02002: 2).
FOCUS = 2.0
# Share of a label that is spread evenly over yes and no (arXiv 1512.00567: 0.1).
SMOOTHING = 0.1


def focal(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """`|target - probability|^2` times binary cross-entropy: `(..., D)` to `(...)`.

    With targets of 0 and 1 this is the focal loss (arXiv 1708.02002, eq. 4); the distance to the
    target carries it over to soft ones (arXiv 2006.04388, eq. 5).
    """
    logits = prototype_logits(output, means, temperature)
    losses = nn.functional.binary_cross_entropy_with_logits(logits, posteriors, reduction="none")
    distance = (posteriors - torch.sigmoid(logits)).abs()
    return (distance**FOCUS * losses).mean(dim=-1)


def label_smoothing(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Binary cross-entropy with targets `0.9 posterior + 0.05`: `(..., D)` to `(...)`."""
    targets = (1 - SMOOTHING) * posteriors + SMOOTHING / 2
    losses = nn.functional.binary_cross_entropy_with_logits(
        prototype_logits(output, means, temperature), targets, reduction="none"
    )
    return losses.mean(dim=-1)
