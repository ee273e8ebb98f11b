"""Running batch statistics where a batch is computed in parts, or by several workers."""

import torch
from torch import Tensor, nn

from pmam.training.trainer import Workers


def part_momentum(momentum: float, part: int, parts: int) -> float:
    """The momentum of part `part` (from 0) of `parts`, so that all together weigh as one batch.

    The last of n parts weighs m / n; each one before it is scaled down by those behind it:
    `(m / n) / (1 - behind m / n)`.
    """
    share = momentum / parts
    return share / (1 - (parts - 1 - part) * share)


class BatchStatistics:
    """The batch normalisations of a module whose running statistics are to be of whole batches.

    Parts and workers normalise by their own statistics; what is kept for evaluation is their mean.
    Without this the last part on the first worker would count alone: PMAM's CNN forgets all but a
    hundredth at each update.
    """

    def __init__(self, module: nn.Module) -> None:
        norms = (m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
        self.norms = [(norm, norm.momentum) for norm in norms if norm.momentum is not None]

    def begin(self, part: int, parts: int) -> None:
        """To be called before a part goes through the module."""
        for norm, momentum in self.norms:
            norm.momentum = part_momentum(momentum, part, parts)

    @torch.no_grad()
    def average(self, workers: Workers) -> None:
        """To be called after a step: all workers go on with the mean of theirs."""
        kept: list[Tensor] = []
        for norm, _ in self.norms:
            if norm.training and norm.running_mean is not None and norm.running_var is not None:
                kept += [norm.running_mean, norm.running_var]
        if not kept or workers.world_size == 1:
            return
        mean = workers.add_up(torch.cat([value.flatten() for value in kept])) / workers.world_size
        for value, part in zip(kept, torch.split(mean, [v.numel() for v in kept]), strict=True):
            value.copy_(part.view_as(value))
