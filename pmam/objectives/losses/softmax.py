"""Losses that make prototypes compete: each frame is one of them, not several at once."""

import torch
from torch import Tensor, nn

from pmam.objectives.losses.prototype_bce import prototype_logits
from pmam.objectives.settings import TEMPERATURE


def info_nce(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Contrast of the likeliest prototype with the others: `(..., D)` to `(...)`.

    `-log softmax(cos(output, mean_k) / temperature)` at the prototype of the highest posterior
    (arXiv 1807.03748, eq. 4, with prototypes as samples).
    """
    unit_output = nn.functional.normalize(output, dim=-1)
    cosine = unit_output @ nn.functional.normalize(means, dim=-1).T
    return _at_likeliest(cosine / temperature, posteriors)


def cross_entropy(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """`-log softmax` of the logits of `prototype_bce` at the likeliest prototype."""
    return _at_likeliest(prototype_logits(output, means, temperature), posteriors)


def softmax_cross_entropy(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """`-sum_k posterior_k log softmax_k` of the logits of `prototype_bce`."""
    logits = prototype_logits(output, means, temperature)
    return -(posteriors * torch.log_softmax(logits, dim=-1)).sum(dim=-1)


def _at_likeliest(logits: Tensor, posteriors: Tensor) -> Tensor:
    chosen = posteriors.argmax(dim=-1, keepdim=True)
    return -torch.log_softmax(logits, dim=-1).gather(-1, chosen).squeeze(-1)
