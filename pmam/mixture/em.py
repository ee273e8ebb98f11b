"""The EM loop: where a fit stands, how it begins, and how it goes on from summed statistics."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from pmam.clustering.distances import assign
from pmam.clustering.kmeans import kmeans
from pmam.errors import InputError
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.e_step import statistics
from pmam.mixture.frame_blocks import Array, Device, Frames, first_piece, steps_of
from pmam.mixture.m_step import m_step
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.process_group import Keep, ProcessGroup, Tensors, alone, made_by_first
from pmam.mixture.settings import CovarianceType
from pmam.mixture.sufficient_statistics import SufficientStatistics

# How often components may be re-seeded in a fit, times their number: more is a circle.
MOST_RESEEDED = 10


@dataclass(frozen=True, kw_only=True)
class FitState:
    """Where a fit stands after an iteration: enough to continue it elsewhere to the same bits.

    `log_likelihoods[i]` is the mean per frame under the parameters that iteration i + 1 began with.
    """

    parameters: MixtureParameters
    log_likelihoods: tuple[float, ...] = ()
    reseeded: int = 0
    converged: bool = False

    @property
    def iteration(self) -> int:
        """How many EM iterations are done."""
        return len(self.log_likelihoods)

    def after(self, total: SufficientStatistics, *, reg_covar: float, tol: float) -> "FitState":
        """The state after the M-step of `total`, the statistics of all frames.

        Converged when the log-likelihood per frame changed by less than `tol` and no component had
        to be re-seeded. Raises `InputError` for fewer frames than components, where no component
        has a positive definite covariance, and where components had to be re-seeded without end.
        """
        components = len(self.parameters.weights)
        if total.frames < components:
            raise InputError(
                f"frames: got {total.frames} for {components} components; expected at least "
                "as many frames: embed more clips or ask for fewer components"
            )
        log_likelihood = total.log_likelihood / total.frames
        parameters, reseeded = m_step(total, self.parameters.covariance_type, reg_covar)
        if self.reseeded + reseeded > MOST_RESEEDED * components:
            floor = "" if reg_covar > 0 else ", or set a reg_covar above 0"
            raise InputError(
                f"mixture: got components that became empty or flat {self.reseeded + reseeded} "
                f"times in {self.iteration + 1} iterations; expected them to hold frames: ask for "
                f"fewer than {components}{floor}"
            )
        change = log_likelihood - (self.log_likelihoods or (-np.inf,))[-1]
        return replace(
            self,
            parameters=parameters,
            log_likelihoods=(*self.log_likelihoods, log_likelihood),
            reseeded=self.reseeded + reseeded,
            converged=reseeded == 0 and abs(change) < tol,
        )

    def tensors(self) -> Tensors:
        """The state as float64 tensors by name, for a checkpoint."""
        return {
            "weights": self.parameters.weights,
            "means": self.parameters.means,
            "covariances": self.parameters.covariances,
            "log_likelihoods": torch.tensor(self.log_likelihoods, dtype=torch.float64),
            "progress": torch.tensor([self.reseeded, self.converged], dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, covariance_type: CovarianceType) -> "FitState":
        """The state that `tensors` gave."""
        reseeded, converged = tensors["progress"].tolist()
        return cls(
            parameters=MixtureParameters(
                covariance_type=covariance_type,
                weights=tensors["weights"],
                means=tensors["means"],
                covariances=tensors["covariances"],
            ),
            log_likelihoods=tuple(tensors["log_likelihoods"].tolist()),
            reseeded=int(reseeded),
            converged=bool(converged),
        )


def expectation_maximisation(
    frames: Frames,
    state: FitState,
    group: ProcessGroup,
    *,
    reg_covar: float,
    tol: float,
    max_iter: int,
    keep: Keep | None = None,
    on_iteration: Callable[[FitState], None] | None = None,
) -> FitState:
    """EM from a state, until the log-likelihood per frame rests or for so many iterations.

    Args:
        frames: those that this worker of the group holds, perhaps none.
        state: where to begin, the same on all workers.
        group: the workers that hold all frames together.
        reg_covar: added to every variance.
        tol: a change of the log-likelihood per frame, in nats, below which EM has converged.
        max_iter: iterations of the whole fit, those before `state` counted.
        keep: keeps each state, and gives the first worker's to all.
        on_iteration: is told the state after each iteration.

    Raises:
        InputError: as `FitState.after`.
    """
    keep, covariance_type = keep or made_by_first(group), state.parameters.covariance_type
    while not state.converged and state.iteration < max_iter:
        total = summed(group, statistics(frames, state.parameters))
        tensors = keep(partial(_step, state, total, reg_covar, tol))
        state = FitState.from_tensors(tensors, covariance_type)
        if on_iteration is not None:
            on_iteration(state)
    return state


def _step(state: FitState, total: SufficientStatistics, reg_covar: float, tol: float) -> Tensors:
    return state.after(total, reg_covar=reg_covar, tol=tol).tensors()


def summed(group: ProcessGroup, own: SufficientStatistics) -> SufficientStatistics:
    """The statistics of all workers' frames."""
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


def from_moments(
    group: ProcessGroup,
    own: SufficientStatistics,
    covariance_type: CovarianceType,
    reg_covar: float,
) -> FitState:
    """The state before the first iteration, from the statistics of this worker's frames."""
    parameters, reseeded = m_step(summed(group, own), covariance_type, reg_covar)
    return FitState(parameters=parameters, reseeded=reseeded)


def from_clusters(
    group: ProcessGroup,
    frames: Frames,
    centers: torch.Tensor,
    covariance_type: CovarianceType,
    reg_covar: float,
) -> FitState:
    """The state where each frame belongs wholly to its nearest centre of `(K, D)` (float64)."""
    own = SufficientStatistics.zeros(centers, covariance_type)
    for x in steps_of(frames, centers.device):
        labels = assign(x, centers)
        own.absorb(x, torch.nn.functional.one_hot(labels, len(centers)), 0.0)
    return from_moments(group, own, covariance_type, reg_covar)


def from_posteriors(
    group: ProcessGroup,
    pairs: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]],
    shape: tuple[int, int],
    covariance_type: CovarianceType,
    reg_covar: float,
) -> FitState:
    """The state where frames `(n, D)` belong to components by posteriors `(n, K)`.

    `pairs` begins a pass over the blocks of both; `shape` is `(K, D)`.
    """
    centers = centers_of_posteriors(group, pairs, shape)
    own = SufficientStatistics.zeros(centers, covariance_type)
    for x, posteriors in pairs():
        own.absorb(x, posteriors, 0.0)
    return from_moments(group, own, covariance_type, reg_covar)


def centers_of_posteriors(
    group: ProcessGroup,
    pairs: Callable[[], Iterator[tuple[torch.Tensor, torch.Tensor]]],
    shape: tuple[int, int],
) -> torch.Tensor:
    """Means `(K, D)` of frames weighted by posteriors; see `from_posteriors`."""
    components, width = shape
    sums = torch.zeros(components, width + 1, dtype=torch.float64, device=group.device)
    for x, posteriors in pairs():
        ones = x.new_ones(len(x), 1)
        sums += posteriors.double().T @ torch.cat([x, ones], dim=1).double()
    sums = group.total(sums)
    return sums[:, :-1] / sums[:, -1:].clamp_min(torch.finfo(torch.float64).tiny)


def initial_state(
    frames: Frames,
    components: int,
    covariance_type: CovarianceType,
    *,
    reg_covar: float,
    seed: int = 0,
    weights: Array | None = None,
    means: Array | None = None,
    precisions: Array | None = None,
    device: Device = None,
    group: ProcessGroup | None = None,
) -> FitState:
    """The clusters of k-means (or those around `means`), where nothing else is given.

    `weights (K,)`, `means (K, D)` and `precisions` (shaped as the covariances) replace the
    clusters' own; all three given, no frame is looked at but the first. Workers of a `group` each
    give the frames that they hold, at least one.
    """
    kind = covariance_of(covariance_type)
    first = first_piece(frames)
    device = device or first.device
    group = group or alone(device)
    given = (
        None if value is None else torch.as_tensor(value, dtype=torch.float64, device=device)
        for value in (weights, means, precisions)
    )
    weights_, means_, precisions_ = given
    expected = (components, first.shape[1])
    if means_ is not None and means_.shape != expected:
        raise InputError(f"means_init: got {tuple(means_.shape)}; expected {expected}")
    covariances, reseeded = None, 0
    if precisions_ is not None:
        covariances = kind.inverse(precisions_)
        if not kind.positive_definite(precisions_).all():
            raise InputError(
                "precisions_init: got a matrix or number that is not positive definite; expected "
                "the inverses of covariances, which no reg_covar makes of others"
            )
    if weights_ is None or means_ is None or covariances is None:
        centers = means_
        if centers is None:
            centers = kmeans(frames, components, seed=seed, device=device, group=group).centers
        clusters = from_clusters(group, frames, centers, covariance_type, reg_covar)
        reseeded = clusters.reseeded
        weights_ = clusters.parameters.weights if weights_ is None else weights_
        means_ = clusters.parameters.means if means_ is None else means_
        covariances = clusters.parameters.covariances if covariances is None else covariances
    parameters = MixtureParameters(
        covariance_type=covariance_type, weights=weights_, means=means_, covariances=covariances
    )
    return FitState(parameters=parameters, reseeded=reseeded)
