"""The clips of each training step: which ones, and the crop of each."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np

from pipelines.inference.frame_job import open_frames
from pipelines.inference.sample_rate_check import warn_of_low_rates
from pipelines.training.clip_stream import ClipStream
from pipelines.training.examples import Example, ExampleReader
from pmam.encoders.base import FrameEncoder
from shards.columns import Chosen, Ints
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.loading.block_order import BlockOrder
from shards.loading.sampling import Group

log = logging.getLogger("pmam")


class Batches:
    """Batches as a pure function of seed, step and rank.

    Args:
        dataset: where the audio is.
        encoder: gives the rate and the hop.
        batch: clips of each subset in a global batch.
        crop_s: length of an example.
        seed: of the order of clips and of the crops.
        cached_inputs: URL of a stage with the encoder's inputs, to be read instead of audio.
        cache_gb: size of a local cache of clips; 0: none.
        published_borders: place events in frames as PMAM's code does.
        keys: of the clips to train on, where those are not all of the subsets in `batch`.

    `labelled` says whether any clip has a label. What a worker holds of the index are its Arrow
    columns, 0.3 GB for a million clips, and rows of the clips that it reads.

    Raises:
        ValueError: there is no such clip, the cached inputs are another encoder's, or an example
            is longer than the encoder takes.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: FrameEncoder,
        *,
        batch: Mapping[str, int],
        crop_s: float,
        seed: int,
        cached_inputs: str | None,
        cache_gb: float = 0.0,
        published_borders: bool = False,
        keys: Iterable[str] | None = None,
    ) -> None:
        self.dataset, columns = dataset, dataset.columns
        kept = True if keys is None else columns.among(keys)
        members = {subset: columns.of_subset(subset) & kept for subset in batch}
        used = np.logical_or.reduce(list(members.values()))
        self.labelled = bool((columns.labelled() & used).any())
        self.groups = {subset: Chosen(which) for subset, which in members.items()}
        sizes = {
            name: Group(size=len(group), per_batch=batch[name])
            for name, group in self.groups.items()
        }
        self.order = BlockOrder(sizes, seed)
        if empty := [name for name in batch if batch[name] > 0 and not self.groups[name]]:
            taken = ", ".join(f"{size} {name}" for name, size in batch.items() if name not in empty)
            log.warning("no clips of %s: a batch is %s", ", ".join(empty), taken)
        encoder.check_length(crop_s, "training.crop_s")
        places = np.flatnonzero(used)
        warn_of_low_rates(
            columns.sample_rates_hz()[places],
            encoder,
            lambda place: dataset.row(int(places[place])).source_id,
        )
        cached = None if cached_inputs is None else open_frames(cached_inputs)
        self.reader = ExampleReader(
            dataset, encoder, crop_s, cached, seed, published_borders=published_borders
        )
        self._stream = None if cached else ClipStream(dataset, self._needed, cache_gb)

    def rows(self, step: int, rank: int = 0, world: int = 1) -> list[IndexRow]:
        """The clips that a worker takes at a step; by default, those of all workers."""
        return self.dataset.rows_at(self._places(step, rank, world))

    def read(self, step: int, rank: int, world: int) -> list[Example]:
        """Their crops. Steps that follow each other are read ahead."""
        rows = self.rows(step, rank, world)
        if self._stream is None:
            return [self.reader.read(row, step) for row in rows]
        files = self._stream.read(step, rank, world)
        return [self.reader.read(row, step, data) for row, data in zip(rows, files, strict=True)]

    def _places(self, step: int, rank: int, world: int) -> Ints:
        """Where the clips of a step lie in the index."""
        chosen = self.order.batch(step, rank, world)
        return np.concatenate(
            [self.groups[name][np.asarray(ranks, np.int64)] for name, ranks in chosen.items()]
        )

    def _needed(self, step: int, rank: int, world: int) -> list[int]:
        return [int(place) for place in self._places(step, rank, world)]
