"""Squared Mahalanobis distances of frames to many components, without the hopeless ones.

Each frame's distance to the component that seems to lead is computed first. A component whose lower
bound (`pmam.mixture.component_pruning`) says that it is `MARGIN` nats behind has a responsibility
below
exp(-MARGIN), which float64 cannot tell from 0 beside 1: it is left out. What remains is computed in
full, with half the products of a full matrix: P is upper triangular, and column j of (x - mean) P
needs dimensions up to j alone.
"""

from itertools import pairwise

import torch

from pmam.mixture.component_pruning import Screen, in_cache

MARGIN = 40.0  # nats; exp(-40) = 4e-18
PANEL = 128  # columns of P at a time
FEWEST = 96  # dimensions below which leaving out costs more than it saves


def squared_distances(
    x: torch.Tensor,
    means: torch.Tensor,
    factors: torch.Tensor,
    offsets: torch.Tensor,
    screen: Screen | None = None,
    margin: float = MARGIN,
) -> torch.Tensor:
    """|(x - mean_k) P_k|^2 `(n, K)`, infinite where component k cannot matter for a frame.

    Args:
        x: frames `(n, D)`.
        means: `(K, D)` in the precision of the frames.
        factors: upper triangular P_k `(K, D, D)`, with P_k P_k^T the inverse covariance.
        offsets: `(K,)`, what is added to half the negative distance to give the log joint
            probability: log weight + log |P_k| + the constant.
        screen: the mixture's; without it every distance is computed.
        margin: nats behind the best one from which on a component cannot matter.
    """
    pairs = list(zip(means, factors, strict=True))
    if screen is None:
        return torch.stack([_squares(x - mean, factor) for mean, factor in pairs], dim=1)
    near = (x - screen.origin.to(x)).float()
    leading = screen.leading(near)
    squares = x.new_full((len(x), len(means)), torch.inf)
    for k, pair in enumerate(pairs):
        rows = (leading == k).nonzero().squeeze(1)
        squares[rows, k] = _in_full(x, rows, *pair)
    best = (offsets - 0.5 * squares.double()).amax(dim=1, keepdim=True)  # (n, 1)
    limits = (2 * (offsets - best + margin)).float()  # (n, K): farther is hopeless
    rounding = screen.rounding(near)
    bounds = screen.first_squares(near)
    possible = _within(bounds, rounding * screen.first_norms, limits)
    possible.scatter_(1, leading[:, None], False)
    for k, pair in enumerate(pairs):
        rows = possible[:, k].nonzero().squeeze(1)
        bound = bounds[rows, k] + screen.second_squares(near, rows, k)
        error = rounding[rows, k] * screen.norms[k]
        rows = rows[_within(bound, error, limits[rows, k])]
        squares[rows, k] = _in_full(x, rows, *pair)
    return squares


def _within(squares: torch.Tensor, error: torch.Tensor, limits: torch.Tensor) -> torch.Tensor:
    """Whether a squared distance may be within its limit; what is not a number may be."""
    return ~((squares.sqrt() - error).clamp_min(0).square() > limits)


def _in_full(
    x: torch.Tensor, rows: torch.Tensor, mean: torch.Tensor, factor: torch.Tensor
) -> torch.Tensor:
    """|(x - mean) P|^2 `(m,)` of some rows of `(n, D)`."""
    return torch.cat([_squares(x[piece].sub_(mean), factor) for piece in in_cache(rows)])


def _squares(difference: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """|difference P|^2 `(n,)` of `(n, D)` and upper triangular `(D, D)`."""
    width = difference.shape[1]
    total = difference.new_zeros(len(difference))
    for start, stop in pairwise([*range(0, width, PANEL), width]):
        part = difference[:, :stop] @ factor[:stop, start:stop]
        total += part.square_().sum(dim=1)
    return total
