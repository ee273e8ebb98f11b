"""How prototypes moved from one iteration to the next: components matched, and what changed."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pmam.errors import InputError
from pmam.metrics.clustering import normalised_mutual_information
from pmam.mixture.frame_blocks import Device


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What changed between two sets of prototypes, on the same frames.

    `matches` are the numbers of a prototype before and of the one that took its place;
    `stayed` is the share of frames whose most probable prototype is still the same one;
    `mean_shift` the mean distance from where a prototype's frames are centred to the mean of its
    match, in units of the root-mean-square distance of all frames from their centre.
    """

    frames: int
    matches: tuple[tuple[int, int], ...]
    stayed: float
    normalised_mutual_information: float
    mean_shift: float


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Two sets of posteriors of the same frames, `(n, J)` before and `(n, K)` after: sums.

    `joint (J, K)` sums products of posteriors, `hard (J, K)` counts pairs of most probable
    prototypes, `first (J, D)` sums frames weighted by the posteriors before, `mass (J,)` these;
    `centre (D,)` sums the frames and `square` their squared lengths. All float64.
    """

    joint: torch.Tensor
    hard: torch.Tensor
    first: torch.Tensor
    mass: torch.Tensor
    centre: torch.Tensor
    square: torch.Tensor

    @classmethod
    def zeros(cls, before: int, after: int, width: int, device: Device = None) -> "Overlap":
        """The sums of no frame."""
        shapes = ((before, after), (before, after), (before, width), (before,), (width,), ())
        names = ("joint", "hard", "first", "mass", "centre", "square")
        zeros = (torch.zeros(shape, dtype=torch.float64, device=device) for shape in shapes)
        return cls(**dict(zip(names, zeros, strict=True)))

    def absorb(self, x: torch.Tensor, before: torch.Tensor, after: torch.Tensor) -> None:
        """Add, in place, frames `(n, D)` with both posteriors."""
        x, before, after = x.double(), before.double(), after.double()
        self.joint.add_(before.T @ after)
        pairs = before.argmax(dim=1) * after.shape[1] + after.argmax(dim=1)
        self.hard.add_(torch.bincount(pairs, minlength=self.hard.numel()).view_as(self.hard))
        self.first.add_(before.T @ x)
        self.mass.add_(before.sum(dim=0))
        self.centre.add_(x.sum(dim=0))
        self.square.add_(x.square().sum())


def matched(joint: npt.NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Pairs of prototypes that share the most posterior mass in all, of `joint (J, K)`.

    Each prototype is in one pair at most (the assignment problem: Kuhn 1955); min(J, K) pairs.
    """
    from scipy.optimize import linear_sum_assignment  # slow to load

    rows, columns = linear_sum_assignment(joint, maximize=True)
    return tuple(zip(rows.tolist(), columns.tolist(), strict=True))


def drift(overlap: Overlap, means: torch.Tensor) -> Drift:
    """What changed, given the means `(K, D)` after; both on the CPU.

    Raises `InputError` where there are no frames.
    """
    frames = float(overlap.hard.sum())
    if frames == 0:
        raise InputError("drift: got no frames in common; expected those of the fit")
    matches = matched(overlap.joint.numpy())
    before, after = torch.tensor(matches).T
    first, second = np.indices(overlap.hard.shape).reshape(2, -1)
    held = overlap.mass[before] > 0
    centres = overlap.first[before] / overlap.mass[before, None]  # (pairs, D)
    shifts = (means[after] - centres).norm(dim=1)[held]
    variance = overlap.square / frames - (overlap.centre / frames).square().sum()
    return Drift(
        frames=int(frames),
        matches=matches,
        stayed=float(overlap.hard[before, after].sum()) / frames,
        normalised_mutual_information=normalised_mutual_information(
            first, second, overlap.hard.long().numpy().ravel()
        ),
        mean_shift=float(shifts.mean() / variance.clamp_min(1e-300).sqrt()),
    )


def reordered(count: int, matches: tuple[tuple[int, int], ...]) -> list[int]:
    """Which of `count` new prototypes takes each place, so that matches keep their number.

    A match that would lie beyond `count` and those without a match fill what is left, in order.
    """
    places: dict[int, int] = {old: new for old, new in matches if old < count}
    left = iter(sorted(set(range(count)) - set(places.values())))
    return [places[n] if n in places else next(left) for n in range(count)]
