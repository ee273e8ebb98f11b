"""A Gaussian mixture fitted by EM in one pass over the frames per iteration."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from pmam.blocks import Array, Device, Frames, steps_of
from pmam.gmm_stats import (
    CovarianceType,
    MixtureParameters,
    SufficientStatistics,
    m_step,
    responsibilities,
    statistics,
)
from pmam.kmeans import assign, kmeans


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

    def tensors(self) -> dict[str, torch.Tensor]:
        """The state as float64 tensors by name, for a checkpoint."""
        return {
            "weights": self.parameters.weights,
            "means": self.parameters.means,
            "covariances": self.parameters.covariances,
            "log_likelihoods": torch.tensor(self.log_likelihoods, dtype=torch.float64),
            "progress": torch.tensor([self.reseeded, self.converged], dtype=torch.float64),
        }

    @classmethod
    def from_tensors(
        cls, tensors: dict[str, torch.Tensor], covariance_type: CovarianceType
    ) -> "FitState":
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


class GaussianMixture:
    """A mixture of `n_components` Gaussians, with the names and the numbers of scikit-learn.

    `covariance_type` is full, tied, diag or spherical. EM stops when the log-likelihood per frame
    changes by less than `tol`, or after `max_iter` iterations. It begins with the clusters of
    k-means (`seed`), or those around `means_init (K, D)`; `weights_init (K,)` and `precisions_init`
    (shaped as the covariances) replace the clusters' own. `device` None computes where the frames
    are. Frames in float32 are multiplied in float32 and summed in float64.
    """

    def __init__(
        self,
        n_components: int,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        seed: int = 0,
        weights_init: Array | None = None,
        means_init: Array | None = None,
        precisions_init: Array | None = None,
        device: Device = None,
    ) -> None:
        if n_components < 1 or max_iter < 1 or tol < 0 or reg_covar < 0:
            raise ValueError(
                f"mixture: got n_components = {n_components}, max_iter = {max_iter}, tol = {tol}, "
                f"reg_covar = {reg_covar}; expected at least 1, 1, 0 and 0"
            )
        self.n_components = n_components
        self.covariance_type: CovarianceType = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.seed = seed
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.device = device
        self._state: FitState | None = None

    def fit(
        self,
        frames: Frames,
        *,
        start: FitState | None = None,
        on_iteration: Callable[[int, float], None] | None = None,
    ) -> "GaussianMixture":
        """Fit to an array `(N, D)`, or to a function that returns an iterator of blocks `(n, D)`.

        `on_iteration(i, log_likelihood_per_frame)` is called after each iteration, when `state_`
        already holds its result; a fit that was killed continues from such a state as `start`.
        Raises `ValueError` for fewer frames than components, frames that are not finite or differ
        in width, and covariances that no regularisation holds up.
        """
        self._state = start or self._initial(frames)
        while not self.state_.converged and self.state_.iteration < self.max_iter:
            self._state = self._iterate(frames, self.state_)
            if on_iteration is not None:
                on_iteration(self.n_iter_, self.lower_bound_)
        return self

    def predict_proba(self, x: Array) -> torch.Tensor:
        """Posteriors `(N, K)` in float64 of frames `(N, D)`; rows sum to 1."""
        return torch.cat([responsibilities(*pair)[0] for pair in self._pairs(x)])

    def score_samples(self, x: Array) -> torch.Tensor:
        """Log-likelihoods `(N,)` in float64, in nats, of frames `(N, D)`."""
        return torch.cat([responsibilities(*pair)[1] for pair in self._pairs(x)])

    @property
    def state_(self) -> FitState:
        """Where the fit stands."""
        if self._state is None:
            raise ValueError(
                "mixture: got no parameters; expected a fitted mixture: call fit first"
            )
        return self._state

    @property
    def parameters_(self) -> MixtureParameters:
        """The fitted weights, means and covariances."""
        return self.state_.parameters

    @property
    def converged_(self) -> bool:
        """Whether the last change of the log-likelihood was below `tol`."""
        return self.state_.converged

    @property
    def n_iter_(self) -> int:
        """How many EM iterations were done."""
        return self.state_.iteration

    @property
    def log_likelihoods_(self) -> tuple[float, ...]:
        """Mean log-likelihood per frame at the start of each iteration."""
        return self.state_.log_likelihoods

    @property
    def lower_bound_(self) -> float:
        """The last of `log_likelihoods_`."""
        return self.state_.log_likelihoods[-1]

    @property
    def reseeded_(self) -> int:
        """How many times an empty or collapsed component was re-seeded."""
        return self.state_.reseeded

    def _iterate(self, frames: Frames, state: FitState) -> FitState:
        total = statistics(frames, state.parameters)
        if total.frames < self.n_components:
            raise ValueError(
                f"frames: got {total.frames} for {self.n_components} components; expected at least "
                "as many frames: embed more clips or ask for fewer components"
            )
        log_likelihood = total.log_likelihood / total.frames
        parameters, reseeded = m_step(total, self.covariance_type, self.reg_covar)
        change = log_likelihood - (state.log_likelihoods or (-np.inf,))[-1]
        return replace(
            state,
            parameters=parameters,
            log_likelihoods=(*state.log_likelihoods, log_likelihood),
            reseeded=state.reseeded + reseeded,
            converged=reseeded == 0 and abs(change) < self.tol,
        )

    def _initial(self, frames: Frames) -> FitState:
        first = _first_piece(frames)
        device = self.device or first.device
        weights, means, precisions = (
            None if value is None else torch.as_tensor(value, dtype=torch.float64, device=device)
            for value in (self.weights_init, self.means_init, self.precisions_init)
        )
        expected = (self.n_components, first.shape[1])
        if means is not None and means.shape != expected:
            raise ValueError(f"means_init: got {tuple(means.shape)}; expected {expected}")
        covariances, reseeded = None, 0
        if precisions is not None and self.covariance_type in ("diag", "spherical"):
            covariances = precisions.reciprocal()
        elif precisions is not None:
            covariances = torch.linalg.inv_ex(precisions).inverse
        if weights is None or means is None or covariances is None:
            if means is None:
                centers = kmeans(frames, self.n_components, seed=self.seed, device=device).centers
            else:
                centers = means
            clusters, reseeded = self._from_clusters(frames, centers)
            weights = clusters.weights if weights is None else weights
            means = clusters.means if means is None else means
            covariances = clusters.covariances if covariances is None else covariances
        parameters = MixtureParameters(
            covariance_type=self.covariance_type,
            weights=weights,
            means=means,
            covariances=covariances,
        )
        return FitState(parameters=parameters, reseeded=reseeded)

    def _from_clusters(
        self, frames: Frames, centers: torch.Tensor
    ) -> tuple[MixtureParameters, int]:
        """The M-step of frames assigned to the nearest centre, and how many it re-seeded."""
        total = SufficientStatistics.zeros(centers, self.covariance_type)
        for x in steps_of(frames, centers.device):
            labels = assign(x, centers)
            total.absorb(x, torch.nn.functional.one_hot(labels, len(centers)), 0.0)
        return m_step(total, self.covariance_type, self.reg_covar)

    def _pairs(self, x: Array) -> list[tuple[torch.Tensor, MixtureParameters]]:
        parameters = self.parameters_
        return [(piece, parameters) for piece in steps_of(x, parameters.means.device)]


def _first_piece(frames: Frames) -> torch.Tensor:
    for x in steps_of(frames):
        return x
    raise ValueError("frames: got none; expected at least as many frames as components")
