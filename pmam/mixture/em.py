"""Where an EM fit stands, and how it begins and goes on from statistics."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from pmam.clustering.clusters import assign
from pmam.clustering.kmeans import kmeans
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Array, Device, Frames, first_piece, steps_of
from pmam.mixture.m_step import is_positive_definite, m_step
from pmam.mixture.parameters import MixtureParameters
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


def cluster_moments(
    frames: Frames, centers: torch.Tensor, covariance_type: CovarianceType
) -> SufficientStatistics:
    """The statistics of frames that belong wholly to their nearest centre of `(K, D)` (float64).

    They add up like those of an E-step; the M-step of their sum is where EM begins.
    """
    total = SufficientStatistics.zeros(centers, covariance_type)
    for x in steps_of(frames, centers.device):
        labels = assign(x, centers)
        total.absorb(x, torch.nn.functional.one_hot(labels, len(centers)), 0.0)
    return total


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
) -> FitState:
    """The clusters of k-means (or those around `means`), where nothing else is given.

    `weights (K,)`, `means (K, D)` and `precisions` (shaped as the covariances) replace the
    clusters' own; all three given, no frame is looked at but the first.
    """
    first = first_piece(frames)
    device = device or first.device
    given = (
        None if value is None else torch.as_tensor(value, dtype=torch.float64, device=device)
        for value in (weights, means, precisions)
    )
    weights_, means_, precisions_ = given
    expected = (components, first.shape[1])
    if means_ is not None and means_.shape != expected:
        raise InputError(f"means_init: got {tuple(means_.shape)}; expected {expected}")
    covariances, reseeded = None, 0
    if precisions_ is not None and covariance_type in ("diag", "spherical"):
        covariances = precisions_.reciprocal()
    elif precisions_ is not None:
        covariances = torch.linalg.inv_ex(precisions_).inverse
    if precisions_ is not None and not is_positive_definite(precisions_, covariance_type).all():
        raise InputError(
            "precisions_init: got a matrix or number that is not positive definite; expected the "
            "inverses of covariances, which no reg_covar makes of others"
        )
    if weights_ is None or means_ is None or covariances is None:
        centers = means_
        if centers is None:
            centers = kmeans(frames, components, seed=seed, device=device).centers
        total = cluster_moments(frames, centers, covariance_type)
        clusters, reseeded = m_step(total, covariance_type, reg_covar)
        weights_ = clusters.weights if weights_ is None else weights_
        means_ = clusters.means if means_ is None else means_
        covariances = clusters.covariances if covariances is None else covariances
    parameters = MixtureParameters(
        covariance_type=covariance_type, weights=weights_, means=means_, covariances=covariances
    )
    return FitState(parameters=parameters, reseeded=reseeded)
