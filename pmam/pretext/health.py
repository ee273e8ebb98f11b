"""Whether predictions of prototypes still say anything: entropies, use, and collapse."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

# A model that tells frames apart by less than this share of what the targets tell has collapsed.
LEAST_INFORMATION = 0.02
# Above this share of its largest value, the entropy of a frame is that of "anything".
UNIFORM = 0.95
USE = "use/"


def entropy(shares: Tensor) -> Tensor:
    """`-sum_k p_k ln p_k`: `(..., K)` to `(...)`."""
    total: Tensor = torch.special.entr(shares).sum(dim=-1)
    return total


def normalised(posteriors: Tensor) -> Tensor:
    """Shares that add up to 1 (stored posteriors are rounded), uniform where all are 0."""
    total = posteriors.sum(dim=-1, keepdim=True)
    uniform = torch.full_like(posteriors, 1 / posteriors.shape[-1])
    return torch.where(total > 0, posteriors / total.clamp_min(1e-12), uniform)


def information(shares: Tensor) -> Tensor:
    """What a prediction tells about which frame it is of, in nats: `(N, K)` to a scalar.

    The entropy of the mean minus the mean entropy: 0 where all frames are predicted alike.
    """
    return entropy(shares.mean(dim=0)) - entropy(shares).mean()


@torch.no_grad()
def health(logits: Tensor, posteriors: Tensor) -> dict[str, Tensor]:
    """Scalars to log of predictions and targets `(N, K)` of many frames, in nats.

    The prototypes share each predicted frame by softmax.

    Returns:
        `entropy` (mean over frames: 0 is certain, ln K knows nothing), `use_entropy` (of the mean
        prediction: 0 where one prototype is used alone, ln K where all are), `information` of
        predictions, `target_information`, and the mean use of each prototype, `use/00` and so on.
    """
    predicted = torch.softmax(logits.float(), dim=-1)
    use = predicted.mean(dim=0)
    numbers = {
        "entropy": entropy(predicted).mean(),
        "use_entropy": entropy(use),
        "information": information(predicted),
        "target_information": information(normalised(posteriors.float())),
    }
    return numbers | {f"{USE}{k:02d}": share for k, share in enumerate(use)}


def collapse(numbers: Mapping[str, float]) -> str | None:
    """A warning where every frame gets the same prediction although the targets differ.

    Args:
        numbers: what `health` gave, as numbers.
    """
    if numbers["information"] >= LEAST_INFORMATION * numbers["target_information"]:
        return None
    most = math.log(sum(name.startswith(USE) for name in numbers))
    kind = "uniform" if numbers["entropy"] > UNIFORM * most else "constant"
    return (
        f"the context network has collapsed to {kind} output: predictions tell frames apart by "
        f"{numbers['information']:.4f} nats, the prototypes by "
        f"{numbers['target_information']:.4f}; lower the learning rates or the mask rate, or "
        "train for longer"
    )
