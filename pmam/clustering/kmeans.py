"""k-means on frames that need not fit in memory: Lloyd's iteration, or mini-batches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from pmam.clustering.clusters import (
    ClusterStatistics,
    cluster_statistics,
)
from pmam.clustering.kmeans_init import Seeding, check_count, seed_centers, seed_parallel
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Array, Device, Frames, sample_rows, shuffled_batches

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


def kmeans(
    frames: Frames,
    components: int,
    *,
    seed: int = 0,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
    seeding: Seeding = "k-means++",
    centers_init: Array | None = None,
    device: Device = None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> KMeansResult:
    """Lloyd's algorithm from `seeding`, or from `centers_init (K, D)`.

    k-means++ sees a uniform sample of `SEEDING_FRAMES` frames; k-means|| passes over all frames six
    times more. Stops when the squared movement of all centres is at most `tolerance` times the mean
    variance of a dimension, as scikit-learn does. Deterministic given the seed. `on_iteration(i,
    inertia)` is called after each iteration with the inertia of the centres that it began with.
    Raises `InputError` for fewer frames than centres and for frames that are not finite.
    """
    centers, variance = _begin(frames, components, seed, seeding, centers_init, device)
    reseeded, iteration, converged = 0, 0, False
    while iteration < max_iterations and not converged:
        iteration += 1
        statistics = cluster_statistics(frames, centers)
        moved = moved_centers(statistics)
        empty = int((statistics.counts == 0).sum())
        movement = float((moved - centers).square().sum())
        converged = empty == 0 and movement <= tolerance * variance
        reseeded += empty
        centers = moved
        if on_iteration is not None:
            on_iteration(iteration, statistics.inertia)
    return _finished(frames, centers, iteration, converged, reseeded)


def minibatch_kmeans(
    frames: Frames,
    components: int,
    *,
    seed: int = 0,
    batch: int = 1024,
    max_passes: int = 10,
    tolerance: float = 1e-4,
    seeding: Seeding = "k-means++",
    centers_init: Array | None = None,
    device: Device = None,
    on_pass: Callable[[int, float], None] | None = None,
) -> KMeansResult:
    """Centres that move with every batch, each towards the mean of all frames it ever had.

    So a few passes are enough where Lloyd's algorithm takes tens; the inertia is a little higher
    (Sculley, Web-scale k-means clustering, WWW 2010, algorithm 1). Frames are shuffled within
    `pmam.mixture.frame_blocks.SHUFFLED_ROWS`. Stops when the squared movement of all centres over a
    pass is at
    most `tolerance` times the mean variance of a dimension. A centre that no frame came to in a
    pass goes to a frame of the last batch that is far from all. `on_pass(i, inertia)` is called
    with the sum of squared distances that the frames had when they came by. The result's
    `iterations` are passes. Raises `InputError` as `kmeans` does.
    """
    centers, variance = _begin(frames, components, seed, seeding, centers_init, device)
    counts = torch.zeros_like(centers[:, 0])
    reseeded, passes, converged = 0, 0, False
    while passes < max_passes and not converged:
        passes += 1
        before, seen, inertia = centers.clone(), torch.zeros_like(counts), 0.0
        for x in shuffled_batches(frames, batch, seed + passes, device):
            statistics = cluster_statistics(x, centers)
            seen += statistics.counts
            counts += statistics.counts
            inertia += statistics.inertia
            towards = statistics.sums - statistics.counts[:, None] * centers  # (K, D)
            centers = centers + towards / counts.clamp_min(1)[:, None]
        empty = (seen == 0).nonzero().squeeze(1)
        filled = empty[: len(statistics.farthest)]
        centers[filled] = statistics.farthest[: len(filled)]
        counts[filled] = 0
        reseeded += len(filled)
        movement = float((centers - before).square().sum())
        converged = len(empty) == 0 and movement <= tolerance * variance
        if on_pass is not None:
            on_pass(passes, inertia)
    return _finished(frames, centers, passes, converged, reseeded)


def moved_centers(statistics: ClusterStatistics) -> torch.Tensor:
    """The new centres `(K, D)`; an empty cluster takes the next of the farthest frames."""
    counts = statistics.counts.clamp_min(1)[:, None]
    centers = statistics.sums / counts
    empty = (statistics.counts == 0).nonzero().squeeze(1)
    centers[empty] = statistics.farthest[: len(empty)]
    return centers


def _begin(
    frames: Frames,
    components: int,
    seed: int,
    seeding: Seeding,
    centers_init: Array | None,
    device: Device,
) -> tuple[torch.Tensor, float]:
    """The first centres `(K, D)`, and the mean variance of a dimension (of a sample)."""
    sample = sample_rows(frames, max(SEEDING_FRAMES, components), seed, device)
    check_count(len(sample), components)
    variance = float(sample.double().var(dim=0, correction=0).mean())
    if centers_init is not None:
        centers = torch.as_tensor(centers_init, dtype=torch.float64, device=sample.device)
        if centers.shape != (components, sample.shape[1]):
            raise InputError(
                f"centers_init: got {tuple(centers.shape)}; "
                f"expected ({components}, {sample.shape[1]})"
            )
        return centers.clone(), variance
    if seeding == "k-means||":
        place = torch.Generator().manual_seed(seed)
        first = sample[torch.randint(len(sample), (1,), generator=place)]
        return seed_parallel(frames, first, components, seed), variance
    return seed_centers(sample, components, seed), variance


def _finished(
    frames: Frames, centers: torch.Tensor, iterations: int, converged: bool, reseeded: int
) -> KMeansResult:
    final = cluster_statistics(frames, centers)
    return KMeansResult(
        centers=centers,
        counts=final.counts,
        inertia=final.inertia,
        iterations=iterations,
        converged=converged,
        reseeded=reseeded,
    )
