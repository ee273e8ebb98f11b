"""`shards.loader` for torch: an `IterableDataset` of batches. Nothing in `shards` imports it."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from shards.audio import Samples
from shards.cache import ClipCache
from shards.loader import Batch, Loader, Loading, State
from shards.reader import Dataset


class TorchStream(IterableDataset[dict[str, Any]]):
    """Batches of one rank for a `DataLoader(stream, batch_size=None, num_workers=...)`.

    The batches come in the same order with any number of workers: worker w of n makes every
    n-th batch. Each worker is a reader with its own memory and its own requests, so a block of
    neighbours is read by several; one worker with threads (`Reading.threads`) reads least.

    Args:
        open_dataset: makes the dataset in each worker: stores hold credentials and network
            threads, which no process inherits. It must be picklable, such as a
            `functools.partial` of a function and a URL.
        settings: what batches are made of.
        rank: of this process, below `world`.
        world: number of processes.
        state: the `state` of the last batch that was trained on.
        stop: number of batches; None = no end.
        cache: makes a local cache of clips in each worker, which all of them may share.
    """

    def __init__(
        self,
        open_dataset: Callable[[], Dataset],
        settings: Loading,
        *,
        rank: int = 0,
        world: int = 1,
        state: State | None = None,
        stop: int | None = None,
        cache: Callable[[], ClipCache] | None = None,
    ) -> None:
        self.open_dataset, self.settings = open_dataset, settings
        self.rank, self.world, self.state, self.stop = rank, world, state, stop
        self.cache = cache

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        loader = Loader(
            self.open_dataset(),
            self.settings,
            rank=self.rank,
            world=self.world,
            state=self.state,
            cache=None if self.cache is None else self.cache(),
        )
        first, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for batch in loader.batches(self.stop, first=first, every=every):
            yield tensors(batch)


def tensors(batch: Batch) -> dict[str, Any]:
    """A batch as tensors, groups one after the other.

    `samples` `(B, samples)` float32 with zeros behind shorter clips, `held` `(B,)` samples that
    are audio, `start` `(B,)`, `weight` `(B,)`; `group` and `rows` are lists, `state` is the
    loader's.
    """
    named = [(name, example) for name, group in batch.groups.items() for example in group]
    examples = [example for _, example in named]
    samples: Samples = np.zeros((len(named), max(len(e.samples) for e in examples)), np.float32)
    for place, example in zip(samples, examples, strict=True):
        place[: len(example.samples)] = example.samples
    return {
        "samples": torch.from_numpy(samples),
        "held": torch.tensor([example.held for example in examples]),
        "start": torch.tensor([example.start for example in examples]),
        "weight": torch.tensor([example.weight for example in examples]),
        "group": [name for name, _ in named],
        "rows": [example.row for example in examples],
        "state": batch.state,
    }
