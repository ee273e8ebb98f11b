"""k-means and EM by all workers of a fit, with a state after each iteration.

Each worker looks at its own frames; what they found is summed; the step that follows is the
first worker's, so that no difference between machines can part them.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import torch
from safetensors.torch import load, save
from torch import Tensor

from pipelines.stages.fit.frame_partition import Advance, Blocks
from pmam.clustering.clusters import ClusterStatistics, cluster_statistics
from pmam.clustering.kmeans import moved_centers
from pmam.mixture.e_step import statistics
from pmam.mixture.em import FitState, cluster_moments
from pmam.mixture.m_step import m_step
from pmam.mixture.process_group import Group
from pmam.mixture.settings import CovarianceType
from pmam.mixture.sufficient_statistics import SufficientStatistics
from shards.io.store import Store

KMEANS_TOLERANCE = 1e-4  # of the mean variance, that all centres move by: as scikit-learn's
Tensors = dict[str, Tensor]
# What is done, of how much, from where on: a progress bar.
Phase = Callable[[str, int, int], AbstractContextManager[Advance]]


class Saved:
    """The state of a fit in a folder: of the first worker, and known to all."""

    def __init__(self, group: Group, folder: Store, name: str) -> None:
        self.group, self.folder, self.name = group, folder, name
        self.started = time.monotonic()
        self.before_s = 0.0

    def read(self) -> Tensors | None:
        """What was written last, also by a fit that was killed; None where there is nothing."""
        found = b""
        if self.group.rank == 0 and self.folder.size(self.name) is not None:
            found = self.folder.read(self.name)
        return self._loaded(self.group.agreed(found))

    def write(self, make: Callable[[], Tensors]) -> Tensors:
        """What the first worker makes, which alone is asked, once it is written."""
        data = b""
        if self.group.rank == 0:
            seconds = torch.tensor(self.seconds, dtype=torch.float64)
            tensors = {**make(), "seconds": seconds}
            data = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
            self.folder.write(self.name, data)
        found = self._loaded(self.group.agreed(data))
        assert found is not None
        return found

    def drop(self) -> None:
        """Remove it."""
        if self.group.rank == 0:
            self.folder.delete(self.name)

    @property
    def seconds(self) -> float:
        """Spent so far, before a kill too."""
        return self.before_s + time.monotonic() - self.started

    def _loaded(self, data: bytes) -> Tensors | None:
        if not data:
            return None
        tensors = load(data)
        self.before_s, self.started = float(tensors.pop("seconds")), time.monotonic()
        return {name: tensor.to(self.group.device) for name, tensor in tensors.items()}


@dataclass(frozen=True, kw_only=True)
class Clustering:
    """Where k-means stands: centres `(K, D)`, and the mean variance of a dimension."""

    centers: Tensor
    variance: float
    iteration: int = 0
    reseeded: int = 0
    converged: bool = False

    def after(self, total: ClusterStatistics) -> "Clustering":
        """After the centres moved to the means of their frames."""
        moved = moved_centers(total)
        empty = int((total.counts == 0).sum())
        movement = float((moved - self.centers).square().sum())
        return replace(
            self,
            centers=moved,
            iteration=self.iteration + 1,
            reseeded=self.reseeded + empty,
            converged=empty == 0 and movement <= KMEANS_TOLERANCE * self.variance,
        )

    def tensors(self) -> Tensors:
        """As float64 tensors by name."""
        numbers = [self.variance, self.iteration, self.reseeded, self.converged]
        return {"centers": self.centers, "clustering": torch.tensor(numbers, dtype=torch.float64)}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> "Clustering":
        """What `tensors` gave."""
        variance, iteration, reseeded, converged = tensors["clustering"].tolist()
        return cls(
            centers=tensors["centers"],
            variance=variance,
            iteration=int(iteration),
            reseeded=int(reseeded),
            converged=bool(converged),
        )


def cluster(
    group: Group,
    data: Blocks,
    state: Clustering,
    saved: Saved,
    iterations: int,
    progress: AbstractContextManager[Advance],
) -> Clustering:
    """Lloyd's iterations until the centres rest, or for so many."""
    with progress as advance:
        while not state.converged and state.iteration < iterations:
            total = clusters_of_all(group, cluster_statistics(data, state.centers))
            step = partial(state.after, total)
            state = Clustering.from_tensors(saved.write(partial(_tensors, step)))
            frames = float(total.counts.sum())
            advance(1, f"squared distance {total.inertia / frames:.4g} per frame")
    return state


def begin_mixture(
    group: Group, total: SufficientStatistics, covariance: CovarianceType, floor: float
) -> Tensors:
    """The state before the first iteration, from statistics of this worker's frames."""
    parameters, reseeded = m_step(statistics_of_all(group, total), covariance, floor)
    return FitState(parameters=parameters, reseeded=reseeded).tensors()


def from_clusters(
    group: Group, data: Blocks, centers: Tensor, covariance: CovarianceType, floor: float
) -> Tensors:
    """The state that EM begins with: each frame belongs to its nearest centre."""
    return begin_mixture(group, cluster_moments(data, centers, covariance), covariance, floor)


def from_posteriors(
    group: Group,
    pairs: Callable[[], Iterator[tuple[Tensor, Tensor]]],
    shape: tuple[int, int],
    covariance: CovarianceType,
    floor: float,
) -> Tensors:
    """The state that EM begins with: frames `(n, D)` belong to prototypes by `(n, K)`."""
    centers = centres_of_posteriors(group, pairs, shape)
    total = SufficientStatistics.zeros(centers, covariance)
    for x, posteriors in pairs():
        total.absorb(x, posteriors, 0.0)
    return begin_mixture(group, total, covariance, floor)


def centres_of_posteriors(
    group: Group, pairs: Callable[[], Iterator[tuple[Tensor, Tensor]]], shape: tuple[int, int]
) -> Tensor:
    """Means `(K, D)` of frames weighted by posteriors."""
    components, width = shape
    sums = torch.zeros(components, width + 1, dtype=torch.float64, device=group.device)
    for x, posteriors in pairs():
        ones = x.new_ones(len(x), 1)
        sums += posteriors.double().T @ torch.cat([x, ones], dim=1).double()
    sums = group.total(sums)
    return sums[:, :-1] / sums[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)


def maximise(
    group: Group,
    data: Blocks,
    state: FitState,
    saved: Saved,
    *,
    floor: float,
    tolerance: float,
    iterations: int,
    progress: AbstractContextManager[Advance],
) -> FitState:
    """EM until the log-likelihood per frame rests, or for so many iterations."""
    covariance = state.parameters.covariance_type
    with progress as advance:
        while not state.converged and state.iteration < iterations:
            total = statistics_of_all(group, statistics(data, state.parameters))
            step = partial(state.after, total, reg_covar=floor, tol=tolerance)
            tensors = saved.write(partial(_tensors, step))
            state = FitState.from_tensors(tensors, covariance)
            advance(1, f"log-likelihood {state.log_likelihoods[-1]:.3f} per frame")
    return state


def statistics_of_all(group: Group, own: SufficientStatistics) -> SufficientStatistics:
    """The sum over workers."""
    numbers = own.counts.new_tensor([own.frames, own.log_likelihood])
    frames, log_likelihood = group.total(numbers).tolist()
    return SufficientStatistics(
        frames=round(frames),
        log_likelihood=log_likelihood,
        counts=group.total(own.counts),
        first=group.total(own.first),
        second=group.total(own.second),
        origin=own.origin,
    )


def clusters_of_all(group: Group, own: ClusterStatistics) -> ClusterStatistics:
    """The sum over workers."""
    distances = group.gathered(own.distances)
    order = distances.sort(descending=True, stable=True).indices[: len(own.counts)]
    return ClusterStatistics(
        counts=group.total(own.counts),
        sums=group.total(own.sums),
        inertia=float(group.total(own.counts.new_tensor([own.inertia]))),
        farthest=group.gathered(own.farthest)[order],
        distances=distances[order],
    )


def _tensors(step: Callable[[], Clustering | FitState]) -> Tensors:
    return step().tensors()
