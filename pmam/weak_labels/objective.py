"""Training from weak labels: the clip's classes, and beside them its input anew."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pmam.errors import InputError
from pmam.objectives.losses.binary_cross_entropy import binary_cross_entropy
from pmam.training.gradient_accumulation import split
from pmam.weak_labels.detector import WeakDetector


@dataclass(frozen=True, kw_only=True)
class WeakBatch:
    """Clips and what is in them."""

    inputs: Tensor  # (B, T, mels), standardised
    tags: Tensor  # (B, classes)

    def split(self, parts: int) -> "list[WeakBatch]":
        """In parts of some clips each."""
        return split(self, parts)


def clip_losses(clips: Tensor, tags: Tensor) -> Tensor:
    """Binary cross-entropy of each clip `(B,)`, the mean over its classes."""
    return binary_cross_entropy(clips, tags).mean(dim=-1)


def reconstruction_losses(reconstruction: Tensor, inputs: Tensor) -> Tensor:
    """Mean squared error of each clip `(B,)`, over frames and mels (arXiv 2008.07085, eq. 2)."""
    return (reconstruction - inputs).square().mean(dim=(1, 2))


class WeakTraining(nn.Module):
    """A detector with its loss, and the best that it has been on validation clips so far.

    Args:
        model: what is trained.
        alpha: weight of the reconstruction's loss, for networks that reconstruct.

    Raises:
        InputError: alpha is negative or no number.
    """

    best_score: Tensor
    best_step: Tensor

    def __init__(self, model: WeakDetector, alpha: float) -> None:
        super().__init__()
        if not 0 <= alpha < math.inf:
            raise InputError(f"alpha {alpha}: expected 0 or more, the weight of the reconstruction")
        self.model, self.alpha = model, alpha
        self.best = copy.deepcopy(model).requires_grad_(False)
        self.register_buffer("best_score", torch.tensor(-math.inf, dtype=torch.float64))
        self.register_buffer("best_step", torch.tensor(0))

    def train(self, mode: bool = True) -> "WeakTraining":
        """As every module, but what is kept stays as it is."""
        super().train(mode)
        self.best.eval()
        return self

    @torch.no_grad()
    def consider(self, score: float, step: int) -> bool:
        """Keep the model as it is now if its score is above the best so far; tells whether."""
        if not score > float(self.best_score):
            return False
        self.best.load_state_dict(self.model.state_dict())
        self.best_score.fill_(score)
        self.best_step.fill_(step)
        return True

    def totals(self, batch: WeakBatch) -> dict[str, Tensor]:
        """What the means are over: clips."""
        return {"clips": torch.tensor(len(batch.tags), device=batch.tags.device)}

    def partial_loss(
        self, batch: WeakBatch, totals: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What a part of a batch adds to the batch's loss, and to the means to log."""
        found = self.model.output(batch.inputs)
        with torch.autocast(batch.inputs.device.type, enabled=False):
            clips = totals["clips"].float()
            weak = clip_losses(found.clips.float(), batch.tags).sum() / clips
            loss, logs = weak, {"weak": weak.detach()}
            if found.reconstruction is not None:
                rebuilt = found.reconstruction.float()
                error = reconstruction_losses(rebuilt, batch.inputs).sum() / clips
                loss = loss + self.alpha * error
                logs |= {"reconstruction": error.detach()}
        return loss, logs
