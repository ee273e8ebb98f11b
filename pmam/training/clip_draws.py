"""Random numbers of each clip's own: the same, whichever worker holds it."""

import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class ClipDraws:
    """Sources of random numbers for the clips of a worker's batch in one step.

    Stands in the place of a `torch.Generator` where numbers are drawn for each clip. What is drawn
    for a batch as a whole comes from `shared`, which is alike on all workers.

    Args:
        seed: of the training.
        step: that is taken.
        clips: what tells the clips of the batch from others, such as key and epoch.
    """

    def __init__(self, seed: int, step: int, clips: Sequence[str]) -> None:
        self.own = [_generator(f"{seed}:{step}:clip:{clip}") for clip in clips]
        self.shared = _generator(f"{seed}:{step}:batch")

    def of(self, clips: Sequence[int]) -> "ClipDraws":
        """The same sources, of some clips of the batch by their places."""
        some = copy.copy(self)
        some.own = [self.own[clip] for clip in clips]
        return some


Random = torch.Generator | ClipDraws


def shared(random: Random) -> torch.Generator:
    """The source of what is drawn for a batch as a whole."""
    return random if isinstance(random, torch.Generator) else random.shared


def rand(clips: int, *shape: int, random: Random, dtype: torch.dtype | None = None) -> Tensor:
    """Uniform in [0, 1), `(clips, *shape)`."""
    return _drawn(clips, random, torch.rand, shape, dtype=dtype)


def randn(clips: int, *shape: int, random: Random) -> Tensor:
    """Standard normal, `(clips, *shape)`."""
    return _drawn(clips, random, torch.randn, shape)


def randint(high: int, clips: int, *shape: int, random: Random) -> Tensor:
    """Whole numbers from 0 to below `high`, `(clips, *shape)`."""
    return _drawn(clips, random, lambda size, **how: torch.randint(high, size, **how), shape)


def _drawn(
    clips: int, random: Random, draw: Callable[..., Tensor], shape: Sequence[int], **how: Any
) -> Tensor:
    if isinstance(random, torch.Generator):
        return draw((clips, *shape), generator=random, **how)
    if len(random.own) != clips:
        raise ValueError(f"random numbers of {len(random.own)} clips, asked for {clips}")
    return torch.stack([draw(tuple(shape), generator=own, **how) for own in random.own])


def _generator(text: str) -> torch.Generator:
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
