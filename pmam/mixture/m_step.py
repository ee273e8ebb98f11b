"""The M-step of a Gaussian mixture, and what is done with components that degenerate."""

from collections.abc import Sequence

import torch

from pmam.errors import InputError
from pmam.mixture.covariance import Covariance
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.settings import CovarianceType
from pmam.mixture.sufficient_statistics import SufficientStatistics

LEAST_FRAMES = 0.5  # a component that holds less than this is empty
# Floors that are worth a try, in squares of the frames' unit.
LEAST_FLOOR, MOST_FLOOR = 1e-6, 1e-2


def m_step(
    total: SufficientStatistics, covariance_type: CovarianceType, reg_covar: float
) -> tuple[MixtureParameters, int]:
    """The parameters that maximise the expected log-likelihood, and how many were re-seeded.

    `reg_covar` is added to every variance. A component that holds fewer than `LEAST_FRAMES`
    frames, or whose covariance is not positive definite, is re-seeded: the heaviest one is split
    in its place. One that holds a single frame stays, with `reg_covar` for its variances, as in
    scikit-learn. Raises `InputError` where no component is sound.
    """
    counts = total.counts.clamp_min(torch.finfo(torch.float64).tiny)
    shifts = total.first / counts[:, None]  # (K, D)
    means = total.origin + shifts
    weights = total.counts / total.counts.sum()
    kind = covariance_of(covariance_type)
    covariances = kind.of_moments(total.second, counts, shifts, reg_covar)
    sound = (total.counts >= LEAST_FRAMES) & kind.positive_definite(covariances)
    bad = (~sound).nonzero().squeeze(1).tolist()
    if len(bad) == len(counts):
        raise InputError(_why_none_is_sound(covariances, kind, reg_covar))
    weights = torch.where(sound, weights, 0.0)
    weights = weights / weights.sum()
    _split_heaviest(weights, means, covariances, kind, bad)
    parameters = MixtureParameters(
        covariance_type=covariance_type, weights=weights, means=means, covariances=covariances
    )
    return parameters, len(bad)


def _why_none_is_sound(covariances: torch.Tensor, kind: Covariance, reg_covar: float) -> str:
    """What is wrong where no covariance is positive definite, and what cures it."""
    if not bool(torch.isfinite(covariances).all()):
        return (
            "mixture: the covariances hold NaN or infinity: the squares of the frames overflow; "
            "expected smaller numbers: scale the frames down, or give them in float64"
        )
    variances = kind.principal_variances(covariances)
    smallest, largest = variances.amin(dim=1), variances.amax(dim=1)
    rounding = 4 * variances.shape[1] * torch.finfo(torch.float64).eps * largest
    enough = 2 * reg_covar + float((rounding - 2 * smallest).clamp_min(LEAST_FLOOR).min())
    found = f"mixture: none of {max(len(variances), 1)} covariances is positive definite with "
    if enough > MOST_FLOOR:
        deviation = float(largest.max()) ** 0.5
        return (
            f"{found}reg_covar = {reg_covar}: frames deviate by {deviation:.2g}, which hides what "
            "is small beside it; expected no frames so far from all others: look for them and "
            "leave them out"
        )
    return (
        f"{found}reg_covar = {reg_covar}; raise it, reduce the dimensions by PCA, or use more "
        f"frames: {enough:.1g} is enough for these"
    )


def _split_heaviest(
    weights: torch.Tensor,
    means: torch.Tensor,
    covariances: torch.Tensor,
    kind: Covariance,
    bad: Sequence[int],
) -> None:
    """Put each bad component beside the heaviest, one deviation apart on its longest axis."""
    for k in bad:
        heaviest = int(weights.argmax())
        own = kind.of_component(covariances, heaviest)
        step = kind.longest_axis(own, means.shape[1])
        weights[k] = weights[heaviest] = weights[heaviest] / 2
        means[k] = means[heaviest] + step
        means[heaviest] -= step
        kind.replace(covariances, k, by=heaviest)
