"""The M-step of a Gaussian mixture, and what is done with components that degenerate."""

from collections.abc import Sequence

import torch

from pmam.errors import InputError
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
    covariances = _covariances(total, counts, shifts, covariance_type, reg_covar)
    sound = (total.counts >= LEAST_FRAMES) & is_positive_definite(covariances, covariance_type)
    bad = (~sound).nonzero().squeeze(1).tolist()
    if len(bad) == len(counts):
        raise InputError(_why_none_is_sound(covariances, covariance_type, reg_covar))
    weights = torch.where(sound, weights, 0.0)
    weights = weights / weights.sum()
    _split_heaviest(weights, means, covariances, covariance_type, bad)
    parameters = MixtureParameters(
        covariance_type=covariance_type, weights=weights, means=means, covariances=covariances
    )
    return parameters, len(bad)


def _why_none_is_sound(
    covariances: torch.Tensor, covariance_type: CovarianceType, reg_covar: float
) -> str:
    """What is wrong where no covariance is positive definite, and what cures it."""
    if not bool(torch.isfinite(covariances).all()):
        return (
            "mixture: the covariances hold NaN or infinity: the squares of the frames overflow; "
            "expected smaller numbers: scale the frames down, or give them in float64"
        )
    variances = covariances.reshape(-1, 1) if covariance_type == "spherical" else covariances
    if covariance_type in ("full", "tied"):
        variances = torch.linalg.eigvalsh(covariances.reshape(-1, *covariances.shape[-2:]))
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


def _covariances(
    total: SufficientStatistics,
    counts: torch.Tensor,
    shifts: torch.Tensor,
    covariance_type: CovarianceType,
    reg_covar: float,
) -> torch.Tensor:
    """Second moments moved from the old means to the new ones, and regularised."""
    if covariance_type in ("diag", "spherical"):
        variances = total.second / counts[:, None] - shifts.square() + reg_covar  # (K, D)
        return variances if covariance_type == "diag" else variances.mean(dim=1)
    if covariance_type == "tied":
        within = total.second.sum(dim=0) - torch.einsum("k,kd,ke->de", counts, shifts, shifts)
        return _regularised(within.div_(total.counts.sum()), reg_covar)
    covariances = torch.empty_like(total.second)
    for covariance, second, count, shift in zip(
        covariances, total.second, counts, shifts, strict=True
    ):  # one by one: they stay in the cache
        torch.div(second, count, out=covariance).addr_(shift, shift, alpha=-1)
        _regularised(covariance, reg_covar)
    return covariances


def _regularised(covariance: torch.Tensor, reg_covar: float) -> torch.Tensor:
    """Symmetric to the bit `(D, D)`, with `reg_covar` added to the variances; in place."""
    covariance.add_(covariance.mT.clone()).mul_(0.5).diagonal().add_(reg_covar)
    return covariance


def is_positive_definite(
    covariances: torch.Tensor, covariance_type: CovarianceType
) -> torch.Tensor:
    """Which components (tied: the one covariance of all) have a usable covariance."""
    if covariance_type in ("diag", "spherical"):
        return (covariances > 0).reshape(len(covariances), -1).all(dim=1)
    status: torch.Tensor = torch.linalg.cholesky_ex(covariances).info
    return status == 0


def _split_heaviest(
    weights: torch.Tensor,
    means: torch.Tensor,
    covariances: torch.Tensor,
    covariance_type: CovarianceType,
    bad: Sequence[int],
) -> None:
    """Put each bad component beside the heaviest, one deviation apart on its longest axis."""
    for k in bad:
        heaviest = int(weights.argmax())
        own = covariances if covariance_type == "tied" else covariances[heaviest]
        step = _longest_axis(own, means.shape[1])
        weights[k] = weights[heaviest] = weights[heaviest] / 2
        means[k] = means[heaviest] + step
        means[heaviest] -= step
        if covariance_type != "tied":
            covariances[k] = covariances[heaviest]


def _longest_axis(covariance: torch.Tensor, width: int) -> torch.Tensor:
    """One standard deviation `(D,)` along the direction of the largest variance."""
    if covariance.ndim == 2:
        variances, axes = torch.linalg.eigh(covariance)
        axis: torch.Tensor = axes[:, -1] * variances[-1].sqrt()
        return axis * axis[axis.abs().argmax()].sign()
    variances = covariance.expand(width)
    longest = variances.argmax()
    step = torch.zeros_like(variances)
    step[longest] = variances[longest].sqrt()
    return step
