"""What EM keeps of frames: moments that add up across blocks and workers.

Moments are taken around the current means, not around zero, so that no digits are lost to
cancellation; products run in the frames' own precision, sums in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from pmam.errors import InputError
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.settings import CovarianceType

PANEL = 192  # columns of a product at a time
FAR = 0.99  # the share of a second moment that a shift makes up, from which on digits are lost
NEGLIGIBLE = 1e-12  # a responsibility below this adds nothing to a component's moments


@dataclass(kw_only=True)
class SufficientStatistics:
    """All that the M-step needs of any number of frames, in float64.

    `counts (K,)` are sums of responsibilities, `first (K, D)` sums of responsibility times
    (frame - origin), `second` of their outer products `(K, D, D)` or squares `(K, D)`; components
    that share a covariance share the sum of outer products too, `(1, D, D)`. `origin (K, D)` are
    the means of the E-step; `log_likelihood` is the sum over `frames` frames.
    """

    frames: int
    log_likelihood: float
    counts: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    origin: torch.Tensor

    @classmethod
    def zeros(cls, origin: torch.Tensor, covariance_type: CovarianceType) -> "SufficientStatistics":
        """The statistics of no frame, around `origin (K, D)` (float64)."""
        components, width = origin.shape
        moments_shape = covariance_of(covariance_type).moments_shape(components, width)
        return cls(
            frames=0,
            log_likelihood=0.0,
            counts=origin.new_zeros(components),
            first=torch.zeros_like(origin),
            second=origin.new_zeros(moments_shape),
            origin=origin,
        )

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """The statistics of both sets of frames; both must come from the same E-step."""
        if not torch.equal(self.origin, other.origin) or self.second.shape != other.second.shape:
            raise InputError(
                "statistics: got two origins or kinds of covariance; expected those of one EM "
                "iteration"
            )
        return SufficientStatistics(
            frames=self.frames + other.frames,
            log_likelihood=self.log_likelihood + other.log_likelihood,
            counts=self.counts + other.counts,
            first=self.first + other.first,
            second=self.second + other.second,
            origin=self.origin,
        )

    def absorb(self, x: torch.Tensor, weights: torch.Tensor, log_likelihood: float) -> None:
        """Add, in place, frames `(n, D)` with responsibilities `(n, K)`."""
        self.frames += len(x)
        self.log_likelihood += log_likelihood
        counts = weights.sum(dim=0, dtype=torch.float64)
        self.counts += counts
        weights = weights.to(x.dtype)
        for k, origin in enumerate(self.origin):
            # most frames belong to few components: leave out the others' rows
            rows = (weights[:, k] > NEGLIGIBLE).nonzero().squeeze(1)
            own = min(k, len(self.second) - 1)
            is_matrix = self.second.ndim == 3
            first, second = _moments(x, rows, weights[rows, k], origin.to(x.dtype), is_matrix)
            spread = second.diagonal() if is_matrix else second
            if bool((first.square() > FAR * counts[k] * spread).any()):
                # Far from the origin its square hides the spread in the frames' precision: moments
                # around a place among the frames, moved to the origin in float64.
                place = (weights[rows, k] @ x[rows]) / weights[rows, k].sum()
                first, second = _moments(x, rows, weights[rows, k], place, is_matrix)
                away = place.double() - origin
                half = first + 0.5 * counts[k] * away
                if is_matrix:
                    second += torch.outer(half, away) + torch.outer(away, half)
                else:
                    second += 2 * half * away
                first += counts[k] * away
            self.first[k] += first
            self.second[own] += second


def sum_of(parts: Sequence[SufficientStatistics]) -> SufficientStatistics:
    """The statistics of several sets of frames, one or more."""
    total, *others = parts
    for other in others:
        total = total + other
    return total


def _moments(
    x: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor, place: torch.Tensor, is_matrix: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums in float64 over rows of `(n, D)`, of weight times difference from `place (D,)`, `(D,)`,
    and times its outer product `(D, D)` or square `(D,)`."""
    difference = x[rows].sub_(place)  # (m, D)
    first = (weight @ difference).double()
    if is_matrix:
        return first, _symmetric_product(difference.mul_(weight.sqrt()[:, None])).double()
    return first, (weight @ difference.square_()).double()


def _symmetric_product(x: torch.Tensor) -> torch.Tensor:
    """X^T X `(D, D)` of `(m, D)`, without the products below the diagonal panels."""
    width = x.shape[1]
    product = x.new_empty(width, width)
    for start, stop in pairwise([*range(0, width, PANEL), width]):
        torch.mm(x[:, :stop].T, x[:, start:stop], out=product[:stop, start:stop])
        product[start:stop, :start] = product[:start, start:stop].T
    return product
