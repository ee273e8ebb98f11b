"""A Gaussian mixture fitted by EM in one pass over the frames per iteration."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy.typing as npt
import torch

from pmam.errors import InputError
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.e_step import evaluate, log_likelihood
from pmam.mixture.em import FitState, expectation_maximisation, initial_state
from pmam.mixture.frame_blocks import Array, Device, Frames
from pmam.mixture.model_selection import aic, bic
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.process_group import ProcessGroup, alone
from pmam.mixture.settings import CovarianceType

A = TypeVar("A", torch.Tensor, npt.NDArray[Any])  # what is asked with one comes as such


def _as_kind(found: torch.Tensor, asked: A) -> A:
    return found if isinstance(asked, torch.Tensor) else found.cpu().numpy()


class GaussianMixture:
    """A mixture of `n_components` Gaussians, with the names and the numbers of scikit-learn.

    `covariance_type` is full, tied, diag or spherical. EM stops when the log-likelihood per frame
    changes by less than `tol`, or after `max_iter` iterations. It begins with the clusters of
    k-means (`random_state`), or those around `means_init (K, D)`; `weights_init (K,)` and
    `precisions_init` (shaped as the covariances) replace the clusters' own. Of `n_init` runs, with
    seeds `random_state`, `random_state + 1` and so on, the one of highest likelihood stays; with
    `warm_start`, a second `fit` begins where the first ended. `device` None computes where the
    frames are. Frames in float32 are multiplied in float32 and summed in float64. Asked with NumPy
    arrays, it answers with such.

    Workers that each hold a part of the frames give `fit` their group, which adds statistics up.
    """

    def __init__(
        self,
        n_components: int,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        random_state: int = 0,
        weights_init: Array | None = None,
        means_init: Array | None = None,
        precisions_init: Array | None = None,
        warm_start: bool = False,
        device: Device = None,
    ) -> None:
        if n_components < 1 or max_iter < 1 or n_init < 1 or tol < 0 or reg_covar < 0:
            raise InputError(
                f"mixture: got n_components = {n_components}, max_iter = {max_iter}, n_init = "
                f"{n_init}, tol = {tol}, reg_covar = {reg_covar}; expected at least 1, 1, 1, 0, 0"
            )
        covariance_of(covariance_type)  # refuses an unknown type
        self.n_components = n_components
        self.covariance_type: CovarianceType = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.random_state = random_state
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.warm_start = warm_start
        self.device = device
        self._state: FitState | None = None

    def fit(
        self,
        frames: Frames,
        *,
        start: FitState | MixtureParameters | None = None,
        on_iteration: Callable[[int, float], None] | None = None,
        sample_weight: Array | None = None,
        group: ProcessGroup | None = None,
    ) -> "GaussianMixture":
        """Fit to an array `(N, D)`, or to a function that returns an iterator of blocks `(n, D)`.

        `on_iteration(i, log_likelihood_per_frame)` is called after each iteration, when `state_`
        already holds its result; a fit that was killed continues from such a state as `start`,
        and parameters as `start` begin a new one. Either is a single run, whatever `n_init`.
        Every frame counts once: a `sample_weight` is refused. Workers of a `group`
        (`pmam.mixture.process_group`) call it together, each with its own frames, at least one; all
        of them end with the same parameters.
        Raises `InputError` for weights, fewer frames than components, frames that are not finite or
        differ in width, where no component has a positive definite covariance, and where components
        had to be re-seeded without end.
        """
        if sample_weight is not None:
            raise InputError(
                "sample_weight: got weights of frames; expected none: they are not supported, "
                "repeat frames or leave some out"
            )
        if start is None and self.warm_start and self._state is not None:
            start = self.parameters_
        if isinstance(start, MixtureParameters):
            start = FitState(parameters=start)
        if start is not None:
            self._check_start(start.parameters)
        best: FitState | None = None
        for run in range(self.n_init if start is None else 1):
            self._state = self._initial(frames, run, group) if start is None else start
            self._state = expectation_maximisation(
                frames,
                self._state,
                group or alone(self._state.parameters.means.device),
                reg_covar=self.reg_covar,
                tol=self.tol,
                max_iter=self.max_iter,
                on_iteration=partial(self._told, on_iteration),
            )
            if best is None or self.lower_bound_ > best.log_likelihoods[-1]:
                best = self.state_
        self._state = best
        return self

    def fit_predict(self, x: A) -> A:
        """`fit` to frames `(N, D)`, and the most probable component of each `(N,)`."""
        return self.fit(x).predict(x)

    def predict(self, x: A) -> A:
        """The most probable component `(N,)` of frames `(N, D)`."""
        return _as_kind(evaluate(x, self.parameters_)[0].argmax(dim=1), x)

    def predict_proba(self, x: A) -> A:
        """Posteriors `(N, K)` in float64 of frames `(N, D)`; rows sum to 1."""
        return _as_kind(evaluate(x, self.parameters_)[0], x)

    def score_samples(self, x: A) -> A:
        """Log-likelihoods `(N,)` in float64, in nats, of frames `(N, D)`."""
        return _as_kind(evaluate(x, self.parameters_)[1], x)

    def score(self, frames: Frames) -> float:
        """The mean log-likelihood per frame, in nats."""
        total, count = log_likelihood(frames, self.parameters_)
        return total / count

    def aic(self, frames: Frames) -> float:
        """Akaike's information criterion on the frames: lower is better."""
        total, _ = log_likelihood(frames, self.parameters_)
        return aic(total, self.parameters_.free_parameters)

    def bic(self, frames: Frames) -> float:
        """The Bayesian information criterion on the frames: lower is better."""
        total, count = log_likelihood(frames, self.parameters_)
        return bic(total, self.parameters_.free_parameters, count)

    def sample(self, n_samples: int = 1, *, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw frames `(n_samples, D)` in float64 and their components `(n_samples,)`."""
        return self.parameters_.sample(n_samples, seed)

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
    def weights_(self) -> torch.Tensor:
        """`(K,)`, sum to 1."""
        return self.parameters_.weights

    @property
    def means_(self) -> torch.Tensor:
        """`(K, D)`."""
        return self.parameters_.means

    @property
    def covariances_(self) -> torch.Tensor:
        """`(K, D, D)` for full, `(D, D)` tied, `(K, D)` diag, `(K,)` spherical."""
        return self.parameters_.covariances

    @property
    def precisions_(self) -> torch.Tensor:
        """The inverse covariances, in the same shape."""
        return self.parameters_.precisions

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
        """The last of `log_likelihoods_`; minus infinity before the first iteration."""
        return (self.log_likelihoods_ or (-math.inf,))[-1]

    @property
    def reseeded_(self) -> int:
        """How many times an empty or collapsed component was re-seeded."""
        return self.state_.reseeded

    def _check_start(self, start: MixtureParameters) -> None:
        if (len(start.weights), start.covariance_type) != (self.n_components, self.covariance_type):
            raise InputError(
                f"start: got {len(start.weights)} components, {start.covariance_type}; expected "
                f"{self.n_components}, {self.covariance_type}, those of the mixture"
            )

    def _told(self, on_iteration: Callable[[int, float], None] | None, state: FitState) -> None:
        self._state = state
        if on_iteration is not None:
            on_iteration(self.n_iter_, self.lower_bound_)

    def _initial(self, frames: Frames, run: int, group: ProcessGroup | None) -> FitState:
        return initial_state(
            frames,
            self.n_components,
            self.covariance_type,
            reg_covar=self.reg_covar,
            seed=self.random_state + run,
            weights=self.weights_init,
            means=self.means_init,
            precisions=self.precisions_init,
            device=self.device,
            group=group,
        )
