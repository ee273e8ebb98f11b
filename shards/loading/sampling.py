"""Keyed permutations, and how many clips of which subset a batch takes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
ROUNDS = 6


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
