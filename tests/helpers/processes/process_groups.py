"""Groups of workers that are threads of one process, with real collectives between them."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed

from pmam.mixture.process_group import Distributed, ProcessGroup

FoundT = TypeVar("FoundT")


@contextlib.contextmanager
def groups(world: int) -> Iterator[Callable[[Callable[[ProcessGroup], FoundT]], list[FoundT]]]:
    """Runs a function once per worker: threads with gloo between them."""
    rendezvous = torch.distributed.HashStore()
    wait = timedelta(seconds=60)

    def worker(rank: int) -> Distributed:
        gloo = torch.distributed.ProcessGroupGloo(rendezvous, rank, world, wait)
        return Distributed(torch.device("cpu"), rank, world, gloo)

    with ThreadPoolExecutor(world) as pool:
        members = list(pool.map(worker, range(world)))
        yield lambda function: list(pool.map(function, members))
