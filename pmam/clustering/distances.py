"""Distances of frames to the centres of clusters."""

import torch


def squared_distances(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances `(n, K)` of frames `(n, D)` to centres `(K, D)`.

    |x - c|^2 = |x|^2 - 2 x.c + |c|^2, around the mean centre, where it loses fewest digits.
    """
    origin = centers.mean(dim=0)
    shifted = x - origin.to(x)  # (n, D)
    around = (centers - origin).to(x)  # (K, D)
    squares = shifted.square().sum(dim=1, keepdim=True) + around.square().sum(dim=1)
    return (squares - 2 * shifted @ around.T).clamp_min(0)


def assign(x: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """The index `(n,)` of the nearest centre of each frame; of equally near ones the first.

    Without |x|^2, which all centres share: far from them it would drown what differs.
    """
    origin = centers.mean(dim=0)
    around = (centers - origin).to(x)  # (K, D)
    return (around.square().sum(dim=1) - 2 * (x - origin.to(x)) @ around.T).argmin(dim=1)
