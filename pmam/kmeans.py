"""k-means on frames that need not fit in memory: k-means++ seeding and Lloyd's iteration."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pmam.blocks import Device, Frames, sample_rows, steps_of

SEEDING_FRAMES = 50_000  # k-means++ looks at a uniform sample of this many frames


@dataclass(frozen=True, kw_only=True)
class KMeansResult:
    """Centres `(K, D)` and the `counts (K,)` of frames nearest to them, in float64.

    `inertia` is the sum of squared distances of all frames to their centre.
    """

    centers: torch.Tensor
    counts: torch.Tensor
    inertia: float
    iterations: int
    converged: bool
    reseeded: int  # empty clusters that were moved to the farthest frame, over all iterations


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
    """The index `(n,)` of the nearest centre of each frame; of equally near ones the first."""
    return squared_distances(x, centers).argmin(dim=1)


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


def seed_centers(sample: torch.Tensor, components: int, seed: int) -> torch.Tensor:
    """Greedy k-means++ centres `(K, D)` (float64) out of a sample `(n, D)`.

    Each next centre is drawn with probability proportional to the squared distance to the nearest
    one so far; of 2 + log K draws the one that lowers the sum most is taken (Arthur and
    Vassilvitskii, SODA 2007, section 5, as scikit-learn does).
    """
    _check_count(len(sample), components)
    generator = np.random.default_rng(seed)
    trials = 2 + int(math.log(components))
    chosen = [int(generator.integers(len(sample)))]
    nearest = squared_distances(sample, sample[chosen]).squeeze(1).double()  # (n,)
    for _ in range(1, components):
        cumulative = nearest.cumsum(0).cpu().numpy()
        if cumulative[-1] > 0:
            draws = np.searchsorted(
                cumulative, generator.random(trials) * cumulative[-1], side="right"
            ).clip(max=len(sample) - 1)
        else:  # fewer distinct frames than centres: any frame is as good
            draws = generator.integers(len(sample), size=trials)
        candidates = squared_distances(sample, sample[torch.as_tensor(draws)]).double()
        potentials = torch.minimum(candidates, nearest[:, None])  # (n, trials)
        best = int(potentials.sum(dim=0).argmin())
        chosen.append(int(draws[best]))
        nearest = potentials[:, best]
    return sample[chosen].double()


def kmeans(
    frames: Frames,
    components: int,
    *,
    seed: int = 0,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
    centers_init: torch.Tensor | None = None,
    device: Device = None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> KMeansResult:
    """Lloyd's algorithm from k-means++ centres, or from `centers_init (K, D)`.

    Stops when the squared movement of all centres is at most `tolerance` times the mean variance
    of a dimension, as scikit-learn does. Deterministic given the seed. `on_iteration(i, inertia)`
    is called after each iteration with the inertia of the centres that it began with.
    Raises `ValueError` for fewer frames than centres and for frames that are not finite.
    """
    sample = sample_rows(frames, max(SEEDING_FRAMES, components), seed, device)
    _check_count(len(sample), components)
    if centers_init is None:
        centers = seed_centers(sample, components, seed)
    else:
        centers = torch.as_tensor(centers_init, dtype=torch.float64, device=sample.device)
        if centers.shape != (components, sample.shape[1]):
            raise ValueError(
                f"centers_init: got {tuple(centers.shape)}; "
                f"expected ({components}, {sample.shape[1]})"
            )
    limit = tolerance * float(sample.double().var(dim=0, correction=0).mean())
    reseeded, iteration, converged = 0, 0, False
    while iteration < max_iterations and not converged:
        iteration += 1
        statistics = cluster_statistics(frames, centers)
        moved = _means(statistics)
        empty = int((statistics.counts == 0).sum())
        converged = empty == 0 and float((moved - centers).square().sum()) <= limit
        reseeded += empty
        centers = moved
        if on_iteration is not None:
            on_iteration(iteration, statistics.inertia)
    final = cluster_statistics(frames, centers)
    return KMeansResult(
        centers=centers,
        counts=final.counts,
        inertia=final.inertia,
        iterations=iteration,
        converged=converged,
        reseeded=reseeded,
    )


def _means(statistics: ClusterStatistics) -> torch.Tensor:
    """The new centres `(K, D)`; an empty cluster takes the next of the farthest frames."""
    counts = statistics.counts.clamp_min(1)[:, None]
    centers = statistics.sums / counts
    empty = (statistics.counts == 0).nonzero().squeeze(1)
    centers[empty] = statistics.farthest[: len(empty)]
    return centers


def _check_count(frames: int, components: int) -> None:
    if frames < components:
        raise ValueError(
            f"frames: got {frames} for {components} components; "
            "expected at least as many frames: embed more clips or ask for fewer components"
        )
