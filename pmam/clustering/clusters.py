"""Distances to cluster centres, and what one pass knows about clusters: it adds up."""

from dataclasses import dataclass

import torch

from pmam.mixture.frame_blocks import Frames, steps_of


@dataclass(frozen=True, kw_only=True)
class ClusterStatistics:
    """What one pass knows about clusters around given centres; adds up across blocks.

    `counts (K,)` and `sums (K, D)` of frames, the sum of squared distances `inertia`, and the K
    frames `farthest (K, D)` from their centre with their squared `distances (K,)`, for empty
    clusters; float64.
    """

    counts: torch.Tensor
    sums: torch.Tensor
    inertia: float
    farthest: torch.Tensor
    distances: torch.Tensor

    def __add__(self, other: "ClusterStatistics") -> "ClusterStatistics":
        """The statistics of both sets of frames, of one iteration."""
        distances = torch.cat([self.distances, other.distances])
        order = distances.sort(descending=True, stable=True).indices[: len(self.counts)]
        return ClusterStatistics(
            counts=self.counts + other.counts,
            sums=self.sums + other.sums,
            inertia=self.inertia + other.inertia,
            farthest=torch.cat([self.farthest, other.farthest])[order],
            distances=distances[order],
        )


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


def cluster_statistics(frames: Frames, centers: torch.Tensor) -> ClusterStatistics:
    """The statistics of a pass over frames around centres `(K, D)` (float64)."""
    components, width = centers.shape
    total = ClusterStatistics(
        counts=torch.zeros_like(centers[:, 0]),
        sums=torch.zeros_like(centers),
        inertia=0.0,
        farthest=centers.new_empty(0, width),
        distances=centers.new_empty(0),
    )
    for x in steps_of(frames, centers.device):
        distances, labels = squared_distances(x, centers).min(dim=1)
        # a product with the one-hot labels: scattered additions have no fixed order on a GPU
        one_hot = torch.nn.functional.one_hot(labels, components).double()  # (n, K)
        farthest = distances.sort(descending=True, stable=True).indices[:components]
        total += ClusterStatistics(
            counts=one_hot.sum(dim=0),
            sums=one_hot.T @ x.double(),
            inertia=float(distances.sum(dtype=torch.float64)),
            farthest=x[farthest].double(),
            distances=distances[farthest].double(),
        )
    return total
