"""The workers of a fit as each of them sees them: sums, rows of all, and what the first says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor

Tensors = dict[str, Tensor]
# Asks the first worker alone to make a state, and gives it to all of them: so no difference
# between machines can part them.
Keep = Callable[[Callable[[], Tensors]], Tensors]


class ProcessGroup(Protocol):
    """Workers that each hold a part of the frames; every method is called by all of them."""

    @property
    def rank(self) -> int:
        """The number of this worker; the first one, 0, writes."""

    @property
    def world_size(self) -> int:
        """How many workers there are."""

    @property
    def device(self) -> torch.device:
        """Where this worker computes."""

    def total(self, values: Tensor) -> Tensor:
        """The sum over workers, the same bits on each."""

    def gathered(self, rows: Tensor) -> Tensor:
        """The rows `(n, ...)` of all workers, in their order; n may differ."""

    def agreed(self, data: bytes) -> bytes:
        """What the first worker gave."""


@dataclass(frozen=True)
class Alone:
    """One process."""

    device: torch.device
    rank: int = 0
    world_size: int = 1

    def total(self, values: Tensor) -> Tensor:
        """As they are."""
        return values

    def gathered(self, rows: Tensor) -> Tensor:
        """As they are."""
        return rows

    def agreed(self, data: bytes) -> bytes:
        """As it is."""
        return data


@dataclass(frozen=True)
class Distributed:
    """Several processes: gloo, or NCCL between GPUs."""

    device: torch.device
    rank: int
    world_size: int
    processes: Any  # a process group of torch.distributed, or the backend of one

    def total(self, values: Tensor) -> Tensor:
        """By all-reduce."""
        sums = values.contiguous().clone()
        self.processes.allreduce([sums]).wait()
        return sums

    def gathered(self, rows: Tensor) -> Tensor:
        """By all-gather of parts that are filled up to the longest."""
        counts = torch.zeros(self.world_size, dtype=torch.int64, device=rows.device)
        counts[self.rank] = len(rows)
        counts = self.total(counts)
        filled = rows.new_zeros((int(counts.max()), *rows.shape[1:]))
        filled[: len(rows)] = rows
        parts = [torch.empty_like(filled) for _ in range(self.world_size)]
        self.processes.allgather([parts], [filled]).wait()
        held = zip(parts, counts.tolist(), strict=True)
        return torch.cat([part[:count] for part, count in held])

    def agreed(self, data: bytes) -> bytes:
        """By broadcast."""
        size = torch.tensor([len(data)], device=self.device)
        self.processes.broadcast(size, 0).wait()
        count = int(size)
        sent = torch.empty(count, dtype=torch.uint8)
        if self.rank == 0 and count:
            sent = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        if count:
            sent = sent.to(self.device)
            self.processes.broadcast(sent, 0).wait()
        return sent.cpu().numpy().tobytes()


def alone(device: torch.device | str | None = None) -> Alone:
    """The group of this process alone."""
    return Alone(torch.device(device or "cpu"))


def made_by_first(group: ProcessGroup) -> Keep:
    """Keeps no state, and gives the first worker's to all."""

    def keep(make: Callable[[], Tensors]) -> Tensors:
        if group.world_size == 1:
            return make()
        data = b""
        if group.rank == 0:
            data = save({name: t.detach().cpu().contiguous() for name, t in make().items()})
        found = load(group.agreed(data))
        return {name: tensor.to(group.device) for name, tensor in found.items()}

    return keep
