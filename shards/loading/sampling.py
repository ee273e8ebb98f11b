"""The order of training: a pure function of (seed, step), of no worker count and of no state."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.errors import SettingsError

Indices = npt.NDArray[np.int64]
ROUNDS = 6
MASK64 = np.uint64(0xFFFFFFFFFFFFFFFF)


def scramble(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A mixing function of 64 bits (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def permute(positions: Indices, size: int, key: int) -> Indices:
    """A keyed permutation of `range(size)`, evaluated at some positions alone.

    A Feistel network over the next power of four, walked until it lands inside the range
    (format-preserving encryption, "cycle walking"): so an epoch of 100 million clips has an
    order without a list of them in memory.
    """
    half_bits = max(1, (max(size - 1, 1).bit_length() + 1) // 2)
    half_mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    generator = np.random.SeedSequence([key & 0xFFFFFFFFFFFFFFFF, size])
    keys = generator.generate_state(ROUNDS, np.uint64)
    result = positions.astype(np.uint64)
    walking = np.ones(len(result), bool)
    while walking.any():
        left, right = result[walking] >> shift, result[walking] & half_mask
        for round_key in keys:
            left, right = right, left ^ (scramble(right ^ round_key) & half_mask)
        result[walking] = (left << shift) | right
        walking[walking] = result[walking] >= size
    return result.astype(np.int64)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Clips that are drawn together: how many there are, and how many of them a batch takes."""

    size: int
    per_batch: int


class BatchOrder:
    """Which clips are in the global batch of each step, and which of them a rank takes.

    Each group walks through its own epochs: every clip exactly once, then again in another
    order. What is left below a batch opens the next epoch, so no clip is dropped. Small groups
    cycle while the largest one sets the epoch.

    Args:
        groups: by name; those without clips or without a share of the batch are left out.
        seed: of all epochs' orders.
    """

    def __init__(self, groups: Mapping[str, Group], seed: int) -> None:
        self.groups = {n: g for n, g in groups.items() if g.size > 0 and g.per_batch > 0}
        if not self.groups:
            raise SettingsError(
                f"no clips to train on: groups {dict(groups)}; pack clips of these subsets"
            )
        self.seed = seed

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which the group with the most batches is seen once."""
        return max(group.size / group.per_batch for group in self.groups.values())

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Indices]:
        """Indices into each group for one step; ranks take equal, disjoint parts."""
        chosen = {}
        for number, (name, group) in enumerate(sorted(self.groups.items())):
            if group.per_batch % world:
                raise SettingsError(
                    f"{group.per_batch} {name} clips a batch on {world} workers: "
                    "expected a multiple of the number of workers"
                )
            share = group.per_batch // world
            start = step * group.per_batch + rank * share
            chosen[name] = self._at(number, group.size, np.arange(start, start + share))
        return chosen

    def _at(self, number: int, size: int, positions: Indices) -> Indices:
        epochs, within = np.divmod(positions, size)
        result = np.empty_like(positions)
        for epoch in np.unique(epochs):
            key = int(scramble(np.array([self.seed * 1_000_003 + number], np.uint64))[0])
            here = epochs == epoch
            result[here] = permute(within[here], size, key ^ int(epoch))
        return result
