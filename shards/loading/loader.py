"""Batches for training and evaluation, as a plain iterator.

What a batch holds is a pure function of (seed, clips seen before): of no number of ranks,
workers or threads, and of nothing that happened. The state after a batch is therefore a few
numbers, from which any number of ranks and workers goes on at the next unseen clip.

Memory of one iterator: the index (0.26 kB a clip), `Reading.budget_bytes` of audio files, and a
batch of decoded clips; for the order itself 1.13 bits for each clip of the index and group (14 MB
for 100 million clips), whatever the epoch.
"""

import contextlib
import hashlib
import logging
import math
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from shards import audio
from shards.audio.decoding import AudioError, Samples
from shards.dataset import Dataset, ReadError
from shards.errors import SettingsError, ShardsError
from shards.index import IndexRow
from shards.io.disk_cache import ClipCache
from shards.loading.block_order import BlockOrder, Blocks
from shards.loading.prefetch import ClipReader, Data, Reading
from shards.loading.sampling import Group

State = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What batches are made of.

    Args:
        per_batch: clips of each subset in the batch of all ranks together, such as
            `{"strong": 4, "synthetic": 2, "weak": 6, "unlabeled": 6}`. The subset with the most
            batches sets the epoch, the others cycle.
        crop_s: length of every example: longer clips are cropped at random, shorter ones
            padded with zeros at the end. None = whole clips.
        sample_rate_hz: clips are resampled to it. None = they stay as they are.
        seed: of the order and the crops.
        blocks: how far clips are mixed.
        reading: limits of the reader.
        on_error: `silence` gives a clip that cannot be read or decoded as silence of weight 0,
            warns, and lists it in `Loader.failed`.
    """

    per_batch: Mapping[str, int]
    crop_s: float | None = None
    sample_rate_hz: int | None = None
    seed: int = 0
    blocks: Blocks = field(default_factory=Blocks)
    reading: Reading = field(default_factory=Reading)
    on_error: Literal["fail", "silence"] = "fail"


@dataclass(frozen=True)
class Example:
    """A clip, or a crop of it."""

    row: IndexRow
    samples: Samples  # (samples,), zeros past the end of the clip
    start: int  # sample of the clip at which the crop begins
    held: int  # samples that are the clip's; the rest is padding
    weight: float = 1.0  # 0 for what fills an evaluation batch, and for a clip that failed


@dataclass(frozen=True)
class Batch:
    """One rank's part of a batch, and the state after the whole batch."""

    groups: Mapping[str, list[Example]]
    state: State


class StateError(ShardsError, ValueError):
    """A state that does not belong to this dataset or these settings; one line."""


class Loader:
    """Endless batches for training.

    Args:
        dataset: where the clips are.
        settings: what batches are made of.
        rank: of this process, below `world`; each gets the same number of clips of each group.
        world: number of processes.
        state: of the last batch that was trained on; the iterator goes on behind it.
        cache: a local cache of clips.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: Loading,
        *,
        rank: int = 0,
        world: int = 1,
        state: State | None = None,
        cache: ClipCache | None = None,
    ) -> None:
        self.dataset, self.settings, self.rank, self.world = dataset, settings, rank, world
        self.failed: list[str] = []  # one line for each clip given as silence
        self._reader = ClipReader(dataset, settings.reading, cache)
        self._clips = {name: dataset.columns.chosen(name) for name in settings.per_batch}
        groups = {
            name: Group(size=len(self._clips[name]), per_batch=count)
            for name, count in settings.per_batch.items()
        }
        seen = None if state is None else self._seen(state, groups)
        self.order = BlockOrder(groups, settings.seed, settings.blocks, seen)
        self._share = sum(g.per_batch for g in self.order.groups.values()) // world

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
                ahead.append(list(self._picks(step)))
                yield from (index for _, index, _ in ahead[-1])

        with contextlib.closing(self._reader.read(indices())) as clips:
            for step in steps:
                groups: dict[str, list[Example]] = {}
                for position in range(self._share):
                    index, data = next(clips)
                    name, _, epoch = ahead[0][position]
                    groups.setdefault(name, []).append(self._example(index, epoch, data))
                ahead.popleft()
                yield Batch(groups, self.state(step + 1))

    def _picks(self, step: int) -> Iterator[tuple[str, int, int]]:
        """`(group, row of the index, epoch)` of each clip of this rank in a batch."""
        for name, picks in self.order.picks(step, self.rank, self.world).items():
            rows = self._clips[name][picks.indices]
            for index, epoch in zip(rows.tolist(), picks.epochs.tolist(), strict=True):
                yield name, index, epoch

    def _example(self, index: int, epoch: int, data: Data | ReadError) -> Example:
        row = self.dataset.row(index)
        settings = self.settings
        rate = settings.sample_rate_hz or row.sample_rate_hz
        size = None if settings.crop_s is None else round(settings.crop_s * rate)
        try:
            samples = _decoded(
                self.dataset, row, data, settings.sample_rate_hz, settings.reading.verify
            )
        except (ReadError, AudioError) as error:
            if settings.on_error == "fail":
                raise
            _log.warning("given as silence: %s", error)
            self.failed.append(str(error))
            length = round(row.num_samples * rate / row.sample_rate_hz) if size is None else size
            return Example(row, np.zeros(length, np.float32), 0, 0, weight=0.0)
        if size is None:
            return Example(row, samples, 0, len(samples))
        start = crop_start(settings.seed, epoch, row.key, len(samples) - size)
        return _cut(row, samples, start, size)

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


def crop_start(seed: int, epoch: int, key: str, last: int) -> int:
    """Where a clip's crop begins, in 0..last: a pure function of seed, epoch and key."""
    if last <= 0:
        return 0
    digest = hashlib.blake2b(f"{seed}:{epoch}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") * (last + 1) >> 64


def evaluation(
    dataset: Dataset,
    subset: str,
    per_batch: int,
    *,
    sample_rate_hz: int | None = None,
    rank: int = 0,
    world: int = 1,
    reading: Reading | None = None,
) -> Iterator[list[Example]]:
    """Whole clips of a subset, each once, in batches of `per_batch // world` on every rank.

    All ranks get the same number of batches, all full: what is missing at the end is the last
    clip again, with weight 0.
    """
    if per_batch % world:
        raise SettingsError(
            f"{per_batch} clips a batch on {world} workers: expected a multiple of the number "
            "of workers"
        )
    chosen = dataset.columns.chosen(subset)
    share = per_batch // world
    batches = -(-len(chosen) // per_batch)
    positions = np.arange(rank * batches * share, (rank + 1) * batches * share)
    rows = chosen[np.minimum(positions, len(chosen) - 1)] if len(chosen) else positions
    examples = []
    reading = reading or Reading()
    with contextlib.closing(ClipReader(dataset, reading).read(rows.tolist())) as clips:
        for position, (index, data) in zip(positions.tolist(), clips, strict=True):
            row = dataset.row(index)
            samples = _decoded(dataset, row, data, sample_rate_hz, reading.verify)
            weight = float(position < len(chosen))
            examples.append(Example(row, samples, 0, len(samples), weight=weight))
            if len(examples) == share:
                yield examples
                examples = []


def _decoded(
    dataset: Dataset,
    row: IndexRow,
    data: Data | ReadError,
    sample_rate_hz: int | None,
    verified: bool,
) -> Samples:
    if isinstance(data, ReadError):
        raise data
    if row.codec == "flac" and not verified:  # dr_flac says nothing of damage
        name = f"{dataset.where(row)} ({row.codec})"
        return audio.decode(bytes(data), name, sample_rate_hz=sample_rate_hz)
    return dataset.decoded(row, data, sample_rate_hz)


def _cut(row: IndexRow, samples: Samples, start: int, size: int) -> Example:
    crop = samples[start : start + size]
    if len(crop) < size:
        return Example(row, np.pad(crop, (0, size - len(crop))), start, len(crop))
    return Example(row, crop.copy(), start, size)  # the whole clip need not be held
