"""Parts of a batch beside each other: the same numbers as one after the other, each time."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pmam.models.context.transformer_xl import TransformerXL
from pmam.training.beside import Beside, parts_beside


@dataclass
class Clips:
    x: Tensor

    def split(self, parts: int) -> list["Clips"]:
        return [Clips(self.x[n::parts]) for n in range(parts)]


class Objective(nn.Module):
    """Mean over clips of what a small network makes of them."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = TransformerXL(8, layers=1, heads=2, hidden=8, dropout=dropout)
        self.unused = nn.Linear(2, 2)
        self.frozen = nn.Linear(8, 8).requires_grad_(False)

    def forward(self, batch: Clips, totals: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        loss = self.network(self.frozen(batch.x)).square().mean(dim=(1, 2)).sum() / totals["clips"]
        return loss, {"loss": loss.detach(), "clips": torch.tensor(float(len(batch.x)))}


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def computed(module: nn.Module, objective: Objective, scale: float = 1.0) -> dict[str, Tensor]:
    """Loss, logs and gradients of one batch."""
    objective.zero_grad()
    batch = Clips(torch.randn(9, 6, 8, generator=torch.Generator().manual_seed(1)))
    loss, logs = module(batch, {"clips": torch.tensor(9.0)})
    (loss * scale).backward()
    gradients = {n: p.grad.clone() for n, p in objective.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **{f"log/{n}": v for n, v in logs.items()}, **gradients}


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_same_numbers(scale: float) -> None:
    """As the whole batch, to rounding; and the same to the last bit each time."""
    objective = Objective()
    beside = Beside(objective, 2)
    whole, parts = computed(objective, objective, scale), computed(beside, objective, scale)
    assert whole.keys() == parts.keys()
    for name, wanted in whole.items():
        torch.testing.assert_close(parts[name], wanted, msg=name)
    again = computed(beside, objective, scale)
    assert all(torch.equal(parts[name], again[name]) for name in parts)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_an_error_of_a_part_comes_through() -> None:
    """As it was raised."""
    with pytest.raises(RuntimeError, match="batch2"):
        Beside(Objective(), 2)(Clips(torch.randn(9, 6, 7)), {"clips": torch.tensor(9.0)})


@pytest.mark.usefixtures("two_threads")
def test_only_where_parts_change_nothing() -> None:
    """Not where numbers are drawn or batches are measured, nor for a few clips or one thread."""
    plain, drops = Objective(), Objective(dropout=0.1)
    assert parts_beside(plain, 24) == 2
    assert parts_beside(plain, 7) == 1
    assert parts_beside(drops, 24) == 1
    assert parts_beside(drops.eval(), 24) == 2
    statistics = nn.Sequential(plain, nn.BatchNorm1d(3))
    assert parts_beside(statistics, 24) == 1
    statistics[1].eval()
    assert parts_beside(statistics, 24) == 2
    torch.set_num_threads(1)
    assert parts_beside(plain, 24) == 1
