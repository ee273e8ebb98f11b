"""`shards.loading.loader` for torch: an `IterableDataset`. Nothing in `shards` imports it."""

import multiprocessing
import multiprocessing.context
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from shards.audio.decoding import Samples
from shards.dataset import Dataset
from shards.io.disk_cache import ClipCache
from shards.loading.loader import Batch, Loader, Loading, State


class TorchStream(IterableDataset[dict[str, Any]]):
    """Batches of one rank for a `DataLoader(stream, batch_size=None, num_workers=...)`.

    The batches come in the same order with any number of workers: worker w of n makes every
    n-th batch. Each worker is a reader with its own memory and its own requests, so a block of
    neighbours is read by several; one worker with threads (`Reading.threads`) reads least.

    Each pass goes on behind the one before: it gives the next `stop` batches, of which none is
    given again, even if the one before was broken off. Without `stop` it begins behind the last
    batch that was made, which workers do ahead of what is asked for. To give every batch to the
    last one, go on from a batch's `state` with a new stream instead.

    Args:
        open_dataset: makes the dataset in each worker: stores hold credentials and network
            threads, which no process inherits. It must be picklable, such as a
            `functools.partial` of a function and a URL.
        settings: what batches are made of.
        rank: of this process, below `world_size`.
        world_size: number of processes.
        state: the `state` of the last batch that was trained on.
        stop: number of batches of a pass; None = no end.
        cache: makes a local cache of clips in each worker, which all of them may share.
    """

    def __init__(
        self,
        open_dataset: Callable[[], Dataset],
        settings: Loading,
        *,
        rank: int = 0,
        world_size: int = 1,
        state: State | None = None,
        stop: int | None = None,
        cache: Callable[[], ClipCache] | None = None,
    ) -> None:
        self.open_dataset, self.settings = open_dataset, settings
        self.rank, self.world_size, self.state, self.stop = rank, world_size, state, stop
        self.cache = cache
        self._passes = _Passes()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        worker = get_worker_info()
        loader = Loader(
            self.open_dataset(),
            self.settings,
            rank=self.rank,
            world_size=self.world_size,
            state=self.state,
            cache=None if self.cache is None else self.cache(),
        )
        begin = self._passes.begin(self.stop)
        end = None if self.stop is None else begin + self.stop
        first, every = (0, 1) if worker is None else (worker.id, worker.num_workers)
        batches = loader.batches(end, first=begin + first, every=every)
        for number, batch in enumerate(batches):
            self._passes.made(begin + first + number * every)
            yield tensors(batch)


class _Passes:
    """Where passes over a stream begin: known to all workers, whose copies of it are their own.

    Worker processes of one pass share the seed that the loader drew for them; those that stay for
    the next pass count their own. A copy made by plain pickling counts for itself.
    """

    def __init__(self) -> None:
        # Seed and turn of the pass, workers that joined it, its first step, first step of the next.
        self._shared = multiprocessing.get_context("spawn").Array("q", [-1, 0, 0, 0, 0])
        self._turn = 0  # of this process

    def begin(self, stop: int | None) -> int:
        """The first step of the pass that this process is to make batches of."""
        worker = get_worker_info()
        self._turn += 1
        with self._shared.get_lock():
            seed, turn, joined, begin, following = self._shared[:]
            own = -1 if worker is None else worker.seed - worker.id
            late = worker is not None and own == seed and self._turn < turn  # nobody listens
            is_next = worker is None or (own, self._turn) != (seed, turn)
            if not late and (is_next or (worker is not None and joined >= worker.num_workers)):
                begin, joined = following, 0
                following += stop or 0
            if not late:
                self._shared[:] = [own, self._turn, joined + 1, begin, following]
        return int(begin)

    def made(self, step: int) -> None:
        """Tell that the batch of a step is made."""
        with self._shared.get_lock():
            self._shared[4] = max(self._shared[4], step + 1)

    def __getstate__(self) -> dict[str, Any]:
        is_for_worker = multiprocessing.context.get_spawning_popen() is not None
        return {"shared": self._shared if is_for_worker else self._shared[:], "turn": self._turn}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]
        if isinstance(state["shared"], list):
            self._shared[:] = state["shared"]
        else:
            self._shared = state["shared"]


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
