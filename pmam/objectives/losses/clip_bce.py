"""The clip-level loss of pretraining: which prototypes does a clip hold at all?"""

import torch
from torch import Tensor

from pmam.objectives.losses.binary_cross_entropy import binary_cross_entropy


def clip_labels(posteriors: Tensor, padding: Tensor, least_frames: float = 1.0) -> Tensor:
    """1 where a prototype's posteriors add up to `least_frames`: `(B, T, K)` to `(B, K)`.

    PMAM counts from one frame on, and so nearly every prototype as present in ten seconds.
    """
    total = posteriors.masked_fill(padding[..., None], 0.0).sum(dim=1)
    return (total >= least_frames).to(posteriors.dtype)


def clip_bce(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of clip probabilities, averaged over prototypes: `(B, K)` to `(B,)`."""
    probabilities = torch.clamp(probabilities, 0.0, 1.0)
    return binary_cross_entropy(probabilities, labels).mean(dim=-1)
