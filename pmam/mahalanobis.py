"""Squared Mahalanobis distances of frames to many components, without the hopeless ones.

With P upper triangular, column j of (x - mean) P needs dimensions up to j alone. So the distance
grows panel by panel of columns: half the products of a full matrix, and after each panel it is a
lower bound. A component whose bound already says that it is `MARGIN` nats behind the best one has a
responsibility below exp(-MARGIN), which float64 cannot tell from 0 beside 1: its frame is left out
of the panels that remain.
"""

from collections.abc import Iterator
from itertools import pairwise

import torch

MARGIN = 40.0  # nats; exp(-40) = 4e-18
FIRST_PANEL, PANEL = 48, 96  # columns; the first one is paid for by every component
FEWEST = 96  # dimensions below which leaving out costs more than it saves


def squared_distances(
    x: torch.Tensor, means: torch.Tensor, factors: torch.Tensor, offsets: torch.Tensor
) -> torch.Tensor:
    """|(x - mean_k) P_k|^2 `(n, K)`, infinite where component k cannot matter for a frame.

    Args:
        x: frames `(n, D)`.
        means: `(K, D)` in the precision of the frames.
        factors: upper triangular P_k `(K, D, D)`, with P_k P_k^T the inverse covariance.
        offsets: `(K,)`, what is added to half the negative distance to give the log joint
            probability: log weight + log |P_k| + the constant.
    """
    width = x.shape[1]
    if width < FEWEST:
        whitened = [_panel(x - mean, factor, 0, width) for mean, factor in _pairs(means, factors)]
        return torch.stack(whitened, dim=1)
    edges = [0, *range(FIRST_PANEL, width, PANEL), width]
    first, panels = edges[1], list(pairwise(edges[1:]))
    squares = torch.stack(
        [
            _panel(x[:, :first] - mean[:first], factor, 0, first)
            for mean, factor in _pairs(means, factors)
        ],
        dim=1,
    )  # (n, K), of the first panel
    offsets = offsets.to(x.dtype)
    leading = (offsets - 0.5 * squares).argmax(dim=1)  # (n,)
    best = torch.empty_like(squares[:, 0])
    for k, (mean, factor) in enumerate(_pairs(means, factors)):
        rows = (leading == k).nonzero().squeeze(1)
        if len(rows):
            difference = x[rows] - mean
            for start, stop in panels:
                squares[rows, k] += _panel(difference, factor, start, stop)
            best[rows] = offsets[k] - 0.5 * squares[rows, k]
    for k, (mean, factor) in enumerate(_pairs(means, factors)):
        bound = best - MARGIN - offsets[k]
        possible = (leading != k) & (-0.5 * squares[:, k] >= bound)
        squares[(leading != k) & ~possible, k] = torch.inf
        rows = possible.nonzero().squeeze(1)
        difference = x[rows] - mean
        for start, stop in panels:
            if not len(rows):
                break
            squares[rows, k] += _panel(difference, factor, start, stop)
            possible = -0.5 * squares[rows, k] >= bound[rows]
            if int(possible.sum()) < 0.75 * len(rows):  # a copy pays when many go
                squares[rows[~possible], k] = torch.inf
                rows, difference = rows[possible], difference[possible]
    return squares


def _pairs(
    means: torch.Tensor, factors: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    return zip(means, factors, strict=True)


def _panel(difference: torch.Tensor, factor: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """The part of the squared distances `(n,)` that columns `start:stop` of P add."""
    part = difference[:, :stop] @ factor[:stop, start:stop]
    return part.square_().sum(dim=1)
