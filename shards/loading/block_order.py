"""A training order made for byte ranges: blocks of neighbours, shuffled in windows of blocks.

Shuffle quality is the share of pairs that follow each other in an epoch and come from one block.
A full shuffle has almost 0; reading shard after shard has almost 1. Here it is
`(clips - 1) / (clips * window)` on average: 0.055 for blocks of 8 clips in windows of 16,
so that 18 clips lie between two of one block, while a reader needs one
request for each 8 clips. Shards are packed in the order of a seeded hash, so a block itself is a
fair sample of the recordings; which blocks meet in a window differs in each epoch, and so does
where blocks begin.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shards.errors import SettingsError
from shards.loading.sampling import Group, Indices, permute, scramble

MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """How far clips are mixed: a reader holds a window of `clips * window` at best."""

    clips: int = 8  # neighbours, which one request reads
    window: int = 16  # blocks that are shuffled together

    def __post_init__(self) -> None:
        if self.clips < 1 or self.window < 1:
            raise SettingsError(
                f"blocks of {self.clips} clips in windows of {self.window}: expected 1 or more"
            )


@dataclass(frozen=True)
class Picks:
    """Clips of one group in a batch: `indices` into it, the `epochs` that they belong to."""

    indices: Indices
    epochs: Indices


def epoch_order(positions: Indices, size: int, key: int, blocks: Blocks) -> tuple[Indices, Indices]:
    """`(indices, block numbers)` at some positions of an epoch of `size` clips.

    A pure function of the arguments; it holds nothing between calls and no list of clips. The
    blocks are laid out from a random clip on, around the end to the start. What is left below
    a block comes last; so no clip is in it each time.
    """
    start = int(scramble(np.array([key], np.uint64))[0] % np.uint64(size))
    whole = size // blocks.clips
    at_once = blocks.clips * blocks.window
    windows, inside = np.divmod(positions, at_once)
    mixed = np.empty_like(positions)
    for window in np.unique(windows):
        here = windows == window
        count = min(at_once, size - int(window) * at_once)
        mixed[here] = window * at_once + _shuffled(count, key ^ (int(window) + 1))[inside[here]]
    block, slot = np.divmod(mixed, blocks.clips)
    number = block.copy()
    full = block < whole
    if full.any():
        number[full] = permute(block[full], whole, key)
    return (number * blocks.clips + slot + start) % size, block


def _shuffled(size: int, key: int) -> Indices:
    """`range(size)` in a keyed order. A Feistel network on so few numbers is visibly biased."""
    first = scramble(np.array([key & 0xFFFFFFFFFFFFFFFF], np.uint64))[0]
    steps = np.arange(size, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # as SplitMix64
    return np.argsort(scramble(first + steps), kind="stable")


class BlockOrder:
    """Which clips are in the global batch of each step, and which of them a rank takes.

    Each group walks through its own epochs, in the order of `epoch_order`: every clip exactly
    once, then again in another order. What is left below a batch opens the next epoch, so no clip
    is dropped. Small groups cycle while the largest one sets the epoch. The parts of the ranks are
    equal and disjoint; each takes neighbouring blocks of a batch, so that a block is read by few
    ranks.

    Args:
        groups: by name; those without a share of the batch are left out.
        seed: of all epochs' orders.
        blocks: how far clips are mixed.
        seen: clips of each group that were trained on before step 0.

    Raises:
        SettingsError: a group is empty, none has a share of the batch, or the seed is none.
    """

    def __init__(
        self,
        groups: Mapping[str, Group],
        seed: int,
        blocks: Blocks | None = None,
        seen: Mapping[str, int] | None = None,
    ) -> None:
        if not 0 <= seed <= MAX_SEED:
            raise SettingsError(f"seed {seed}: expected 0 to {MAX_SEED}")
        if negative := [name for name, group in groups.items() if group.per_batch < 0]:
            raise SettingsError(
                f"{groups[negative[0]].per_batch} {negative[0]} clips a batch: expected 0 or more"
            )
        self.groups = {name: group for name, group in groups.items() if group.per_batch > 0}
        if not self.groups:
            raise SettingsError(f"a batch of no clips: {dict(groups)}; give some subset a share")
        if empty := [name for name, group in self.groups.items() if group.size == 0]:
            raise SettingsError(f"no clips to train on in {', '.join(map(repr, empty))}")
        self.seed = seed
        self.blocks = blocks or Blocks()
        self.start = {name: (seen or {}).get(name, 0) for name in self.groups}

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which the group with the most batches is seen once."""
        return max(group.size / group.per_batch for group in self.groups.values())

    def seen(self, step: int) -> dict[str, int]:
        """Clips of each group in all batches before a step, and before step 0."""
        return {n: self.start[n] + step * group.per_batch for n, group in self.groups.items()}

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Indices]:
        """Indices into each group for one step; ranks take equal, disjoint parts."""
        return {name: picks.indices for name, picks in self.picks(step, rank, world_size).items()}

    def picks(self, step: int, rank: int = 0, world_size: int = 1) -> dict[str, Picks]:
        """What `batch` gives, with the epoch of each clip."""
        chosen = {}
        for number, (name, group) in enumerate(sorted(self.groups.items())):
            check_share(group.per_batch, f"{name} clips", rank, world_size)
            positions = self.seen(step)[name] + np.arange(group.per_batch)
            epochs, within = np.divmod(positions, group.size)
            indices, block = np.empty_like(positions), np.empty_like(positions)
            for epoch in np.unique(epochs):
                key = int(scramble(np.array([self.seed * 1_000_003 + number], np.uint64))[0])
                key = int(scramble(np.array([key ^ int(epoch)], np.uint64))[0])
                here = epochs == epoch
                indices[here], block[here] = epoch_order(within[here], group.size, key, self.blocks)
            share = group.per_batch // world_size
            mine = np.lexsort((block, epochs))[rank * share : (rank + 1) * share]
            mine.sort()
            chosen[name] = Picks(indices[mine], epochs[mine])
        return chosen


def check_share(per_batch: int, of: str, rank: int, world_size: int) -> None:
    """Refuse a rank that is none, and a batch that ranks cannot share equally."""
    if world_size < 1 or not 0 <= rank < world_size:
        raise SettingsError(
            f"rank {rank} of {world_size} workers: expected 1 worker or more, and a rank from 0 to "
            f"{max(world_size, 1) - 1}"
        )
    if per_batch % world_size:
        raise SettingsError(
            f"{per_batch} {of} a batch on {world_size} workers: expected a multiple of the number "
            "of workers"
        )
