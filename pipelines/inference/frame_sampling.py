"""Which frames are kept where not all are: one random frame of every so many."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def sampled(
    blocks: Iterable[Floats], keep_every: int, seed: int, key: str
) -> Iterator[tuple[Floats, Indices | None]]:
    """One random frame of every `keep_every` of a clip, and where in the clip it was.

    A pure function of the seed, the key and the joined blocks `(frames, width)`, whatever their
    lengths. With `keep_every` 1 the blocks come as they are, without positions.
    """
    if keep_every == 1:
        yield from ((block, None) for block in blocks)
        return
    entropy = np.random.SeedSequence([seed, *key.encode()])
    generator = np.random.Generator(np.random.PCG64(entropy))
    start = 0  # of `held` in the clip
    held: Floats | None = None  # what is left of a whole number of groups
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        whole = len(held) - len(held) % keep_every
        positions = _one_of_each(whole, keep_every, generator)
        yield held[positions], start + positions
        held, start = held[whole:], start + whole
    if held is not None and len(held):
        positions = _one_of_each(len(held), keep_every, generator)
        yield held[positions], start + positions


def _one_of_each(frames: int, keep_every: int, generator: np.random.Generator) -> Indices:
    starts = np.arange(0, frames, keep_every)
    chosen: Indices = starts + generator.integers(0, np.minimum(keep_every, frames - starts))
    return chosen
