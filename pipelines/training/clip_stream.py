"""The audio files of training steps, read ahead by byte ranges of neighbours."""

import contextlib
from collections.abc import Callable, Generator, Sequence

from cluster.storage.download import cache_folder
from shards.dataset import Dataset, ReadError
from shards.io.disk_cache import ClipCache
from shards.loading.prefetch import ClipReader, Data

Clips = Generator[tuple[int, Data | ReadError], None, None]


class ClipStream:
    """What steps need, in the order of the steps; a step out of turn is read anew.

    Args:
        dataset: where the clips are.
        needed: rows of the index that a step takes, on one rank of so many.
        cache_gb: size of a local cache of clips, for datasets in an object store; 0: none.
    """

    def __init__(
        self,
        dataset: Dataset,
        needed: Callable[[int, int, int], Sequence[int]],
        cache_gb: float = 0.0,
    ) -> None:
        cache = ClipCache(cache_folder() / "clips", round(cache_gb * 1e9)) if cache_gb else None
        self._reader, self._needed = ClipReader(dataset, cache=cache), needed
        self._next: tuple[int, int, int] | None = None  # step, rank, world
        self._clips: Clips | None = None

    def read(self, step: int, rank: int, world: int) -> list[Data]:
        """The audio files of a step, in the order of `needed`; `ReadError` where one is not."""
        if self._clips is None or self._next != (step, rank, world):
            self.close()
            self._clips = self._reader.read(
                index
                for later in range(step, 1 << 62)
                for index in self._needed(later, rank, world)
            )
        found = []
        for _ in self._needed(step, rank, world):
            _, data = next(self._clips)
            if isinstance(data, ReadError):
                self.close()
                raise data
            found.append(data)
        self._next = (step + 1, rank, world)
        return found

    def close(self) -> None:
        """Stop reading ahead."""
        if self._clips is not None:
            with contextlib.closing(self._clips):
                self._clips = None
