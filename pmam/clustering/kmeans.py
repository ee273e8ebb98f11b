"""k-means by Lloyd's iteration, on frames that need not fit in memory nor in one process."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from pmam.clustering.distances import squared_distances
from pmam.clustering.kmeans_init import check_count, seed_centers
from pmam.errors import InputError
from pmam.mixture.frame_blocks import (
    ROWS_ON_CPU,
    Array,
    Device,
    Frames,
    absorbed,
    sample_rows,
)
from pmam.mixture.process_group import Keep, ProcessGroup, Tensors, alone, made_by_first

SEEDING_FRAMES = 50_000  # k-means++ looks at a uniform sample of this many frames
# Of the mean variance of a dimension, that all centres move by: as scikit-learn's.
TOLERANCE = 1e-4


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


@dataclass(frozen=True, kw_only=True)
class KMeansState:
    """Where k-means stands after an iteration: enough to continue it elsewhere to the same bits.

    `centers (K, D)`, the mean `variance` of a dimension, and how many empty clusters were
    `reseeded`, moved to the farthest frame, over all iterations.
    """

    centers: torch.Tensor
    variance: float
    iteration: int = 0
    reseeded: int = 0
    converged: bool = False

    def after(self, total: ClusterStatistics, tolerance: float) -> "KMeansState":
        """The state after the centres moved to the means of their frames."""
        moved = moved_centers(total)
        empty = int((total.counts == 0).sum())
        movement = float((moved - self.centers).square().sum())
        return replace(
            self,
            centers=moved,
            iteration=self.iteration + 1,
            reseeded=self.reseeded + empty,
            converged=empty == 0 and movement <= tolerance * self.variance,
        )

    def tensors(self) -> Tensors:
        """The state as float64 tensors by name, for a checkpoint."""
        numbers = [self.variance, self.iteration, self.reseeded, self.converged]
        return {"centers": self.centers, "clustering": torch.tensor(numbers, dtype=torch.float64)}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> "KMeansState":
        """The state that `tensors` gave."""
        variance, iteration, reseeded, converged = tensors["clustering"].tolist()
        return cls(
            centers=tensors["centers"],
            variance=variance,
            iteration=int(iteration),
            reseeded=int(reseeded),
            converged=bool(converged),
        )


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
    tolerance: float = TOLERANCE,
    centers_init: Array | None = None,
    device: Device = None,
    group: ProcessGroup | None = None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> KMeansResult:
    """Lloyd's algorithm from k-means++ on a uniform sample, or from `centers_init (K, D)`.

    Stops when the squared movement of all centres is at most `tolerance` times the mean variance
    of a dimension, as scikit-learn does. Deterministic given the seed. Workers of a `group` each
    give the frames that they hold, at least one. `on_iteration(i, inertia)` is called after each
    iteration with the inertia of the centres that it began with. Raises `InputError` for fewer
    frames than centres and for frames that are not finite.
    """
    group = group or alone(device)
    sample = sample_rows(frames, max(SEEDING_FRAMES, components), seed, device, group)
    check_count(len(sample), components)
    start = None
    if centers_init is not None:
        start = torch.as_tensor(centers_init, dtype=torch.float64, device=sample.device).clone()
        if start.shape != (components, sample.shape[1]):
            raise InputError(
                f"centers_init: got {tuple(start.shape)}; "
                f"expected ({components}, {sample.shape[1]})"
            )
    first = made_by_first(group)(partial(_first_state, sample, components, seed, start))
    state = lloyd(
        frames,
        KMeansState.from_tensors(first),
        group,
        tolerance=tolerance,
        max_iterations=max_iterations,
        on_iteration=None
        if on_iteration is None
        else lambda state, total: on_iteration(state.iteration, total.inertia),
    )
    final = summed(group, cluster_statistics(frames, state.centers))
    return KMeansResult(
        centers=state.centers,
        counts=final.counts,
        inertia=final.inertia,
        iterations=state.iteration,
        converged=state.converged,
        reseeded=state.reseeded,
    )


def lloyd(
    frames: Frames,
    state: KMeansState,
    group: ProcessGroup,
    *,
    tolerance: float = TOLERANCE,
    max_iterations: int = 100,
    keep: Keep | None = None,
    on_iteration: Callable[[KMeansState, ClusterStatistics], None] | None = None,
) -> KMeansState:
    """Lloyd's iterations from a state, until the centres rest or for so many.

    Args:
        frames: those that this worker of the group holds.
        state: where to begin, the same on all workers.
        group: the workers that hold all frames together.
        tolerance: see `KMeansState.after`.
        max_iterations: of the whole fit, those before `state` counted.
        keep: keeps each state, and gives the first worker's to all.
        on_iteration: is told the state after each iteration, and the statistics that it came from.
    """
    keep = keep or made_by_first(group)
    while not state.converged and state.iteration < max_iterations:
        total = summed(group, cluster_statistics(frames, state.centers))
        state = KMeansState.from_tensors(keep(partial(_step, state, total, tolerance)))
        if on_iteration is not None:
            on_iteration(state, total)
    return state


def _step(state: KMeansState, total: ClusterStatistics, tolerance: float) -> Tensors:
    return state.after(total, tolerance).tensors()


def cluster_statistics(frames: Frames, centers: torch.Tensor) -> ClusterStatistics:
    """The statistics of a pass over frames around centres `(K, D)` (float64)."""
    width = centers.shape[1]

    def none() -> list[ClusterStatistics]:
        return [
            ClusterStatistics(
                counts=torch.zeros_like(centers[:, 0]),
                sums=torch.zeros_like(centers),
                inertia=0.0,
                farthest=centers.new_empty(0, width),
                distances=centers.new_empty(0),
            )
        ]

    def absorb(total: list[ClusterStatistics], x: torch.Tensor) -> None:
        total[0] += _of_step(x, centers)

    parts = absorbed(frames, centers.device, ROWS_ON_CPU, none, absorb)
    (total,), *others = parts
    for (other,) in others:
        total += other
    return total


def _of_step(x: torch.Tensor, centers: torch.Tensor) -> ClusterStatistics:
    distances, labels = squared_distances(x, centers).min(dim=1)
    # A product with the one-hot labels: scattered additions have no fixed order on a GPU. Of the
    # frames as they are: the same labels give the same sums, wherever the centres were.
    one_hot = torch.nn.functional.one_hot(labels, len(centers)).double()  # (n, K)
    farthest = distances.topk(min(len(x), len(centers))).indices
    return ClusterStatistics(
        counts=one_hot.sum(dim=0),
        sums=one_hot.T @ x.double(),
        inertia=float(distances.sum(dtype=torch.float64)),
        farthest=x[farthest].double(),
        distances=distances[farthest].double(),
    )


def summed(group: ProcessGroup, own: ClusterStatistics) -> ClusterStatistics:
    """The statistics of all workers' frames."""
    distances = group.gathered(own.distances)
    order = distances.sort(descending=True, stable=True).indices[: len(own.counts)]
    return ClusterStatistics(
        counts=group.total(own.counts),
        sums=group.total(own.sums),
        inertia=float(group.total(own.counts.new_tensor([own.inertia]))),
        farthest=group.gathered(own.farthest)[order],
        distances=distances[order],
    )


def moved_centers(statistics: ClusterStatistics) -> torch.Tensor:
    """The new centres `(K, D)`; an empty cluster takes the next of the farthest frames."""
    counts = statistics.counts.clamp_min(1)[:, None]
    centers = statistics.sums / counts
    empty = (statistics.counts == 0).nonzero().squeeze(1)
    centers[empty] = statistics.farthest[: len(empty)]
    return centers


def _first_state(
    sample: torch.Tensor, components: int, seed: int, start: torch.Tensor | None
) -> Tensors:
    """The first centres `(K, D)`, and the mean variance of a dimension (of the sample)."""
    variance = float(sample.double().var(dim=0, correction=0).mean())
    centers = seed_centers(sample, components, seed) if start is None else start
    return KMeansState(centers=centers, variance=variance).tensors()
