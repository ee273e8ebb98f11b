"""Prototype-wise binary cross-entropy, the pretext loss of PMAM (arXiv 2409.17656, 3.3)."""

from torch import Tensor, nn

from pmam.objectives.settings import TEMPERATURE

SLOPE = 0.2


def prototype_logits(output: Tensor, means: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """`(2 leaky_relu(cos(output, mean_k), 0.2) - 1) / temperature`.

    `(..., D)` and `(K, D)` to `(..., K)`.
    """
    unit_output = nn.functional.normalize(output, dim=-1)
    unit_means = nn.functional.normalize(means, dim=-1)
    cosine = unit_output @ unit_means.T
    return (2 * nn.functional.leaky_relu(cosine, SLOPE) - 1) / temperature


def prototype_bce(
    output: Tensor, means: Tensor, posteriors: Tensor, temperature: float = TEMPERATURE
) -> Tensor:
    """Cross-entropy of each frame, averaged over prototypes: `(..., D)` to `(...)`.

    Each prototype is a binary question of its own: sounds overlap, so several may be present.
    """
    losses = nn.functional.binary_cross_entropy_with_logits(
        prototype_logits(output, means, temperature), posteriors, reduction="none"
    )
    return losses.mean(dim=-1)
