"""A batch on several cores: its parts go through the network beside each other, a thread each.

Small matrices leave most cores idle where all share each product. Parts share nothing but the
weights: each thread takes one part forward and back, and the gradients are added in the order of
the parts, so that a step gives the same numbers each time.
"""

import itertools
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import torch
from torch import Tensor, nn

# Fewer clips in a part than this, and the calls take the time.
LEAST_CLIPS = 4


class Splits(Protocol):
    """A batch, or a part of one."""

    def split(self, parts: int) -> list[Any]:
        """In parts of some clips each."""


def parts_beside(module: nn.Module, clips: int) -> int:
    """How many parts of so many clips may go through a module beside each other; 1: it all at once.

    Where it draws numbers or takes statistics of a batch, parts would change what it computes.
    """
    on_cores = all(parameter.device.type == "cpu" for parameter in module.parameters())
    if not on_cores or any(_is_of_the_batch(each) for each in module.modules()):
        return 1
    return max(1, min(torch.get_num_threads(), clips // LEAST_CLIPS))


def _is_of_the_batch(module: nn.Module) -> bool:
    if not module.training:
        return False
    takes_statistics = isinstance(module, nn.modules.batchnorm._BatchNorm)
    drops = getattr(module, "dropout", getattr(module, "p", 0.0))
    return takes_statistics or bool(drops) or getattr(module, "draws", False)


class Beside(nn.Module):
    """An objective whose batches go through it in parts, beside each other.

    Called like the objective, with a batch of which `split` makes parts. The gradients are there
    when the loss is, and `backward` of the loss hands them out.

    Args:
        objective: gives losses and logs that add up over parts.
        parts: how many.
    """

    def __init__(self, objective: nn.Module, parts: int) -> None:
        super().__init__()
        self.objective, self.parts = objective, parts
        threads = torch.get_num_threads()
        self.pool = ThreadPoolExecutor(parts)
        all_there = threading.Barrier(parts)

        def begin(_: int) -> None:
            all_there.wait()  # no thread takes two of these
            torch.get_num_threads()  # the first call takes what other threads were given last
            torch.set_num_threads(max(1, threads // parts))

        list(self.pool.map(begin, range(parts)))
        torch.set_num_threads(threads)  # what later threads begin with is what it was

    def forward(self, batch: Splits, totals: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Any]]:
        """Loss and logs of the whole batch."""
        trained = [p for p in self.objective.parameters() if p.requires_grad]

        def computed(part: Any) -> tuple[Tensor, dict[str, Tensor], tuple[Tensor | None, ...]]:
            with torch.enable_grad():
                loss, logs = self.objective(part, totals)
                gradients = torch.autograd.grad(loss, trained, allow_unused=True)
            return loss.detach(), logs, gradients

        losses, logs, gradients = zip(
            *self.pool.map(computed, batch.split(self.parts)), strict=True
        )
        names = list(dict.fromkeys(itertools.chain(*logs)))
        summed = {name: sum(each[name] for each in logs if name in each) for name in names}
        handed_out = _HandedOut.apply  # untyped in torch
        loss = handed_out(torch.stack(losses).sum(), _added(gradients), *trained)  # type: ignore[no-untyped-call]
        return loss, summed


class _HandedOut(torch.autograd.Function):
    """A loss whose gradients are known already."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: list[Tensor | None], *_: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        scaled = [None if each is None else each * outer[0] for each in ctx.gradients]
        return (None, None, *scaled)


def _added(gradients: tuple[tuple[Tensor | None, ...], ...]) -> list[Tensor | None]:
    """The sum over parts of each parameter's gradient; None where no part has one."""
    together = []
    for of_parts in zip(*gradients, strict=True):
        there = [each for each in of_parts if each is not None]
        together.append(torch.stack(there).sum(dim=0) if there else None)
    return together
