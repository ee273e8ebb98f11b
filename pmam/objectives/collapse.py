"""Whether predictions of prototypes still say anything: entropies, use, and collapse."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from pmam.training.gradient_accumulation import divisor, mean_over

# A model that tells frames apart by less than this share of what the targets tell has collapsed.
LEAST_INFORMATION = 0.02
# Of mean entropies in single precision, in nats.
ROUNDING = 1e-5
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


def health_terms(
    logits: Tensor, posteriors: Tensor, weights: Tensor, total: Tensor
) -> dict[str, Tensor]:
    """Means over frames of what predictions and targets `(B, T, K)` say; entropies in nats.

    The prototypes share each predicted frame by softmax. Of a part of a batch, the terms are the
    part's share, and add up to those of the batch.

    Args:
        logits: of the predictions.
        posteriors: the targets.
        weights: `(B, T)`, what each frame weighs; true or false where it counts or not.
        total: their sum in the whole batch.

    Returns:
        `entropy` (0 is certain, ln K knows nothing), `target_entropy`, and the mean use of each
        prototype by the predictions, `use/00` and so on, and by the targets, `target_use/00`.
    """
    numbers: dict[str, Tensor] = {}
    shares = {"": torch.softmax(logits.float(), dim=-1), "target_": normalised(posteriors.float())}
    for prefix, frames in shares.items():
        numbers[f"{prefix}entropy"] = mean_over(entropy(frames), weights, total)
        use = (frames * weights[..., None]).sum(dim=(0, 1)) / divisor(total)
        numbers |= {f"{prefix}{USE}{k:02d}": share for k, share in enumerate(use)}
    return numbers


def health(terms: Mapping[str, float]) -> dict[str, float]:
    """What follows from the terms of a whole batch, in nats.

    Returns:
        `use_entropy` (of the mean prediction: 0 where one prototype is used alone, ln K where all
        are), and `information` of predictions and `target_information`: what they tell about
        which frame they are of, the entropy of the mean minus the mean entropy.
    """
    use = _entropy_of_use(terms, USE)
    return {
        "use_entropy": use,
        "information": use - terms["entropy"],
        "target_information": _entropy_of_use(terms, f"target_{USE}") - terms["target_entropy"],
    }


def _entropy_of_use(terms: Mapping[str, float], prefix: str) -> float:
    shares = [value for name, value in terms.items() if name.startswith(prefix)]
    return float(entropy(torch.tensor(shares, dtype=torch.double)))


def collapse(numbers: Mapping[str, float]) -> str | None:
    """A warning where every frame gets the same prediction although the targets differ.

    Args:
        numbers: the terms of a whole batch with what `health` makes of them.
    """
    least = LEAST_INFORMATION * numbers["target_information"]
    if numbers["information"] + ROUNDING >= least:
        return None
    most = math.log(sum(name.startswith(USE) for name in numbers))
    kind = "uniform" if numbers["entropy"] > UNIFORM * most else "constant"
    return (
        f"the context network has collapsed to {kind} output: predictions tell frames apart by "
        f"{numbers['information']:.4f} nats, the prototypes by "
        f"{numbers['target_information']:.4f}; lower the learning rates or the mask rate, or "
        "train for longer"
    )
