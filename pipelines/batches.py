"""The clips of each training step: which ones, and the crop of each."""

import logging
from collections.abc import Iterable, Mapping

from pipelines.clip_stream import ClipStream
from pipelines.examples import Example, ExampleReader
from pipelines.frame_jobs import open_frames
from pipelines.sample_rates import warn_of_low_rates
from pmam.encoders import FrameEncoder
from shards.block_order import BlockOrder
from shards.index import IndexRow
from shards.reader import Dataset
from shards.stream import Group

log = logging.getLogger("pmam")


class Batches:
    """Batches as a pure function of seed, step and rank.

    Args:
        dataset: where the audio is.
        rows: the clips to train on; only those of the subsets in `batch` are.
        encoder: gives the rate and the hop.
        batch: clips of each subset in a global batch.
        crop_s: length of an example.
        seed: of the order of clips and of the crops.
        cached_inputs: URL of a stage with the encoder's inputs, to be read instead of audio.
        cache_gb: size of a local cache of clips; 0: none.
        published_borders: place events in frames as PMAM's code does.

    Raises:
        ValueError: there is no such clip, the cached inputs are another encoder's, or an example
            is longer than the encoder takes.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Iterable[IndexRow],
        encoder: FrameEncoder,
        *,
        batch: Mapping[str, int],
        crop_s: float,
        seed: int,
        cached_inputs: str | None,
        cache_gb: float = 0.0,
        published_borders: bool = False,
    ) -> None:
        self.groups: dict[str, list[IndexRow]] = {subset: [] for subset in batch}
        for row in rows:
            if row.subset in self.groups:
                self.groups[row.subset].append(row)
        sizes = {
            name: Group(size=len(members), per_batch=batch[name])
            for name, members in self.groups.items()
        }
        self.order = BlockOrder(sizes, seed)
        if empty := [name for name in batch if batch[name] > 0 and not self.groups[name]]:
            taken = ", ".join(f"{size} {name}" for name, size in batch.items() if name not in empty)
            log.warning("no clips of %s: a batch is %s", ", ".join(empty), taken)
        encoder.check_length(crop_s, "training.crop_s")
        warn_of_low_rates([row for group in self.groups.values() for row in group], encoder)
        self._numbers = {row.key: number for number, row in enumerate(dataset.rows)}
        cached = None if cached_inputs is None else open_frames(cached_inputs)
        self.reader = ExampleReader(
            dataset, encoder, crop_s, cached, seed, published_borders=published_borders
        )
        self._stream = None if cached else ClipStream(dataset, self._needed, cache_gb)

    def rows(self, step: int, rank: int = 0, world: int = 1) -> list[IndexRow]:
        """The clips that a worker takes at a step; by default, those of all workers."""
        chosen = self.order.batch(step, rank, world)
        return [self.groups[name][index] for name in chosen for index in chosen[name]]

    def read(self, step: int, rank: int, world: int) -> list[Example]:
        """Their crops. Steps that follow each other are read ahead."""
        rows = self.rows(step, rank, world)
        if self._stream is None:
            return [self.reader.read(row, step) for row in rows]
        files = self._stream.read(step, rank, world)
        return [self.reader.read(row, step, data) for row, data in zip(rows, files, strict=True)]

    def _needed(self, step: int, rank: int, world: int) -> list[int]:
        return [self._numbers[row.key] for row in self.rows(step, rank, world)]
