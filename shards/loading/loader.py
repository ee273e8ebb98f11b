"""Batches for training and evaluation, as a plain iterator.

What a batch holds is a pure function of (seed, clips seen before): of no number of ranks,
workers or threads, and of nothing that happened. The state after a batch is therefore a few
numbers, from which any number of ranks and workers goes on at the next unseen clip.

Memory of one iterator: the index (0.26 kB a clip), `Reading.budget_bytes` of audio files, and a
batch of decoded clips; for the order itself 1.13 bits for each clip of the index and group (14 MB
for 100 million clips), whatever the epoch.
"""

import contextlib
import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from shards.columns import Chosen
from shards.dataset import Dataset
from shards.errors import SettingsError, ShardsError
from shards.index import IndexRow
from shards.io.disk_cache import ClipCache
from shards.loading.block_order import BlockOrder, Blocks, check_share
from shards.loading.examples import (
    AudioReader,
    ClipReader,
    Crops,
    Example,
    OnError,
    cut_or_silence,
    no_clips,
)
from shards.loading.prefetch import Reading
from shards.loading.sampling import Group

State = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What batches are made of.

    Args:
        per_batch: clips of each subset in the batch of all ranks together, such as
            `{"strong": 4, "synthetic": 2, "weak": 6, "unlabeled": 6}`. The subset with the most
            batches sets the epoch, the others cycle.
        crop_s: length of every example: longer clips are cropped at random, shorter ones
            padded with zeros at the end. None = whole clips.
        crop_hop_s: crops begin and end at multiples of it. None = anywhere.
        sample_rate_hz: clips are resampled to it. None = they stay as they are.
        seed: of the order and the crops.
        blocks: how far clips are mixed.
        reading: limits of the reader.
        on_error: `silence` gives a clip that cannot be read or decoded as silence of weight 0,
            warns, and lists it in `Loader.failed`.
    """

    per_batch: Mapping[str, int]
    crop_s: float | None = None
    crop_hop_s: float | None = None
    sample_rate_hz: int | None = None
    seed: int = 0
    blocks: Blocks = field(default_factory=Blocks)
    reading: Reading = field(default_factory=Reading)
    on_error: OnError = "fail"

    @property
    def crops(self) -> Crops:
        """Which part of a clip an example is."""
        return Crops(crop_s=self.crop_s, hop_s=self.crop_hop_s, seed=self.seed)


@dataclass(frozen=True)
class Batch:
    """One rank's part of a batch, and the state after the whole batch."""

    groups: Mapping[str, list[Example]]
    state: State

    @property
    def examples(self) -> list[Example]:
        """Those of all groups, one group after the other."""
        return [example for group in self.groups.values() for example in group]


class StateError(ShardsError, ValueError):
    """A state that does not belong to this dataset or these settings; one line."""


class Loader:
    """Endless batches for training.

    Args:
        dataset: where the clips are.
        settings: what batches are made of.
        rank: of this process, below `world_size`; each gets the same number of clips of each group.
        world_size: number of processes.
        state: of the last batch that was trained on; the iterator goes on behind it.
        cache: a local cache of clips.
        clips: reads something else than audio, such as stored inputs of an encoder.
        keys: of the clips to train on, where those are not all of the subsets.

    Raises:
        SettingsError: a subset without clips, a rank that is none, a batch that ranks cannot
            share, a negative seed, or a crop of no length.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Loading,
        *,
        rank: int = 0,
        world_size: int = 1,
        state: State | None = None,
        cache: ClipCache | None = None,
        clips: ClipReader | None = None,
        keys: Iterable[str] | None = None,
    ) -> None:
        self.dataset, self.settings = dataset, settings
        self.rank, self.world_size = rank, world_size
        self.failed: list[str] = []  # one line for each clip given as silence
        self._reader = clips or AudioReader(
            dataset, settings.sample_rate_hz, settings.reading, cache
        )
        self._crops = settings.crops
        among = None if keys is None else dataset.columns.among(keys)
        self._clips = {
            name: dataset.columns.chosen(name)
            if among is None
            else Chosen(dataset.columns.of_subset(name) & among)
            for name in settings.per_batch
        }
        groups = {
            name: Group(size=len(self._clips[name]), per_batch=count)
            for name, count in settings.per_batch.items()
        }
        for name, group in groups.items():
            check_share(group.per_batch, f"{name} clips", rank, world_size)
            if group.per_batch > 0 and not group.size:
                raise SettingsError(no_clips(dataset, name, chosen=among is not None))
        seen = None if state is None else self._seen(state, groups)
        self.order = BlockOrder(groups, settings.seed, settings.blocks, seen)
        self._share = sum(g.per_batch for g in self.order.groups.values()) // world_size

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every clip of the largest group is seen; the last one may be shared
        with the next epoch."""
        return math.ceil(self.order.steps_per_epoch)

    def state(self, step: int) -> State:
        """The state after so many batches of this loader: plain numbers, for JSON."""
        return {
            "seed": self.settings.seed,
            "block_clips": self.settings.blocks.clips,
            "window_blocks": self.settings.blocks.window,
            "sizes": {name: group.size for name, group in sorted(self.order.groups.items())},
            "seen": dict(sorted(self.order.seen(step).items())),
        }

    def rows(self, step: int, rank: int = 0, world_size: int = 1) -> list[IndexRow]:
        """The clips that a rank takes at a step; by default, those of all ranks."""
        picks = self._picks(step, rank, world_size)
        return self.dataset.rows_at(np.array([index for _, index, _ in picks], np.int64))

    def __iter__(self) -> Iterator[Batch]:
        return self.batches()

    def batches(
        self, stop: int | None = None, *, first: int = 0, every: int = 1
    ) -> Generator[Batch, None, None]:
        """The batches `first, first + every, ...` below `stop`, counted from the state."""
        steps = range(first, 1 << 62 if stop is None else stop, every)
        ahead: deque[list[tuple[str, int, int]]] = deque()  # batches that are being read

        def indices() -> Iterator[int]:
            for step in steps:
                ahead.append(list(self._picks(step, self.rank, self.world_size)))
                yield from (index for _, index, _ in ahead[-1])

        with contextlib.closing(self._reader.read(indices())) as clips:
            for step in steps:
                groups: dict[str, list[Example]] = {}
                for position in range(self._share):
                    row, samples = next(clips)
                    name, _, epoch = ahead[0][position]
                    example = cut_or_silence(
                        *(self._reader, self._crops, row, samples, epoch),
                        *(self.settings.on_error, self.failed),
                    )
                    groups.setdefault(name, []).append(example)
                ahead.popleft()
                yield Batch(groups, self.state(step + 1))

    def _picks(self, step: int, rank: int, world_size: int) -> Iterator[tuple[str, int, int]]:
        """`(group, row of the index, epoch)` of each clip of a rank in a batch."""
        for name, picks in self.order.picks(step, rank, world_size).items():
            rows = self._clips[name][picks.indices]
            for index, epoch in zip(rows.tolist(), picks.epochs.tolist(), strict=True):
                yield name, index, epoch

    def _seen(self, state: State, groups: Mapping[str, Group]) -> dict[str, int]:
        expected = {
            "seed": self.settings.seed,
            "block_clips": self.settings.blocks.clips,
            "window_blocks": self.settings.blocks.window,
            "sizes": {n: g.size for n, g in sorted(groups.items()) if g.size and g.per_batch},
        }
        for name, value in expected.items():
            if state.get(name) != value:
                raise StateError(
                    f"the state to go on from has {name} {state.get(name)}, this loader {value}; "
                    "use the dataset and settings of that run, or start anew without a state"
                )
        return {name: int(count) for name, count in state["seen"].items()}


def evaluation(
    dataset: Dataset,
    subset: str,
    per_batch: int,
    *,
    sample_rate_hz: int | None = None,
    rank: int = 0,
    world_size: int = 1,
    reading: Reading | None = None,
    on_error: OnError = "silence",
) -> "Evaluation":
    """Whole clips of a subset, each once, in batches of `per_batch // world_size` on every rank.

    All ranks get the same number of batches, all full: what is missing at the end is the last
    clip again, with weight 0.

    Args:
        dataset: where the clips are.
        subset: which of them.
        per_batch: clips of a batch of all ranks together.
        sample_rate_hz: that they are resampled to; None: they stay as they are.
        rank: of this process, below `world_size`.
        world_size: number of processes.
        reading: limits of the reader.
        on_error: `silence` gives a clip that cannot be read or decoded as silence of weight 0,
            warns, and lists it in `failed`; `fail` raises.

    Raises:
        SettingsError: no such subset, or a rank or batch that is none.
    """
    if per_batch < 1:
        raise SettingsError(f"{per_batch} clips a batch: expected 1 or more")
    check_share(per_batch, "clips", rank, world_size)
    chosen = dataset.columns.chosen(subset)
    if not len(chosen):
        raise SettingsError(no_clips(dataset, subset))
    size = -(-len(chosen) // per_batch) * (per_batch // world_size)
    positions = np.arange(rank * size, (rank + 1) * size)
    return Evaluation(
        clips=AudioReader(dataset, sample_rate_hz, reading),
        indices=chosen[np.minimum(positions, len(chosen) - 1)].tolist(),
        fills=(positions >= len(chosen)).tolist(),
        share=per_batch // world_size,
        on_error=on_error,
    )


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Batches of one rank; see `evaluation`."""

    clips: ClipReader
    indices: list[int]
    fills: list[bool]  # whether a clip is there only to fill the last batch
    share: int  # clips of a batch
    on_error: OnError
    failed: list[str] = field(default_factory=list)  # one line for each clip given as silence

    def __len__(self) -> int:
        return len(self.indices) // self.share

    def __iter__(self) -> Iterator[list[Example]]:
        self.failed.clear()
        examples: list[Example] = []
        with contextlib.closing(self.clips.read(self.indices)) as clips:
            for is_fill, (row, samples) in zip(self.fills, clips, strict=True):
                # What fills was told of already, where it cannot be read.
                on_error, failed = ("silence", []) if is_fill else (self.on_error, self.failed)
                made = cut_or_silence(self.clips, Crops(), row, samples, 0, on_error, failed)
                examples.append(replace(made, weight=0.0) if is_fill else made)
                if len(examples) == self.share:
                    yield examples
                    examples = []
