"""Expectation-maximisation of a Gaussian mixture from statistics that add up.

The E-step of a block of frames gives statistics; those of two blocks, or of two workers, add; and
the M-step sees the sum alone. Moments are taken around the current means, not around zero, so that
no digits are lost to cancellation; products run in the frames' own precision, sums in float64.
(Dempster, Laird and Rubin 1977; Bishop, Pattern Recognition and Machine Learning, section 9.2.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch

from pmam.blocks import Frames, steps_of
from pmam.mahalanobis import squared_distances

CovarianceType = Literal["full", "tied", "diag", "spherical"]
COVARIANCE_TYPES: tuple[CovarianceType, ...] = get_args(CovarianceType)

NEGLIGIBLE = 1e-12  # a responsibility below this adds nothing to a component's moments
LEAST_FRAMES = 2.0  # a component that holds less than this has no variance of its own


def covariance_shape(
    covariance_type: CovarianceType, components: int, width: int
) -> tuple[int, ...]:
    """The shape in which covariances of a type are kept."""
    return {
        "full": (components, width, width),
        "tied": (width, width),
        "diag": (components, width),
        "spherical": (components,),
    }[covariance_type]


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureParameters:
    """`weights (K,)`, `means (K, D)` and covariances, all float64 on one device.

    Covariances are `(K, D, D)` for full, `(D, D)` tied, `(K, D)` diag, `(K,)` spherical.
    Raises `ValueError` where shapes disagree or a covariance is not positive definite.
    """

    covariance_type: CovarianceType
    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def __post_init__(self) -> None:
        if self.covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type: got {self.covariance_type!r}; "
                f"expected one of {', '.join(COVARIANCE_TYPES)}"
            )
        components, width = self.means.shape
        expected = covariance_shape(self.covariance_type, components, width)
        if self.weights.shape != (components,) or self.covariances.shape != expected:
            raise ValueError(
                f"mixture parameters: got weights {tuple(self.weights.shape)} and "
                f"{self.covariance_type} covariances {tuple(self.covariances.shape)}; expected "
                f"({components},) and {expected} for means ({components}, {width})"
            )

    @cached_property
    def precision_factors(self) -> torch.Tensor:
        """P with P P^T the inverse covariance: `(K, D, D)`, or `(K, D)` where it is diagonal."""
        components, width = self.means.shape
        if self.covariance_type in ("diag", "spherical"):
            positive = (self.covariances > 0).reshape(components, -1).all(dim=1)
            _check_positive_definite(positive)
            deviations = self.covariances.rsqrt()
            return deviations.reshape(components, -1).expand(components, width)
        lower, status = torch.linalg.cholesky_ex(self.covariances)
        _check_positive_definite(status.reshape(-1) == 0)
        identity = torch.eye(width, dtype=lower.dtype, device=lower.device)
        inverse: torch.Tensor = torch.linalg.solve_triangular(
            lower, identity.expand_as(lower), upper=False
        )
        return inverse.mT.expand(components, width, width)

    @cached_property
    def log_determinants(self) -> torch.Tensor:
        """log |P| `(K,)`: half the log determinant of the inverse covariance."""
        factors = self.precision_factors
        diagonals = factors.diagonal(dim1=-2, dim2=-1) if factors.ndim == 3 else factors
        return diagonals.log().sum(dim=1)

    def to(self, device: torch.device | str) -> "MixtureParameters":
        """The same parameters on another device."""
        if self.means.device == torch.device(device):
            return self
        return MixtureParameters(
            covariance_type=self.covariance_type,
            weights=self.weights.to(device),
            means=self.means.to(device),
            covariances=self.covariances.to(device),
        )


def log_joint(x: torch.Tensor, parameters: MixtureParameters) -> torch.Tensor:
    """log(weight_k N(x; mean_k, covariance_k)), `(n, K)` in float64, of frames `(n, D)`.

    Minus infinity where a component is hopelessly behind the best one (`pmam.mahalanobis`).
    """
    means = parameters.means.to(x.dtype)
    factors = parameters.precision_factors.to(x.dtype)
    constant = parameters.log_determinants - 0.5 * x.shape[1] * math.log(2 * math.pi)
    offsets = parameters.weights.log() + constant  # (K,)
    if factors.ndim == 3:
        squares = squared_distances(x, means, factors, offsets)
    else:
        pairs = zip(means, factors, strict=True)
        squares = torch.stack([((x - m) * f).square_().sum(dim=1) for m, f in pairs], dim=1)
    return offsets - 0.5 * squares.double()


def responsibilities(
    x: torch.Tensor, parameters: MixtureParameters
) -> tuple[torch.Tensor, torch.Tensor]:
    """Posteriors `(n, K)` and log-likelihoods `(n,)` of frames `(n, D)`, in float64."""
    joint = log_joint(x, parameters)
    log_likelihoods = joint.logsumexp(dim=1)
    return (joint - log_likelihoods[:, None]).exp_(), log_likelihoods


@dataclass(kw_only=True)
class SufficientStatistics:
    """All that the M-step needs of any number of frames, in float64.

    `counts (K,)` are sums of responsibilities, `first (K, D)` sums of responsibility times
    (frame - origin), `second` of their outer products `(K, D, D)` or squares `(K, D)`; `origin
    (K, D)` are the means of the E-step; `log_likelihood` is the sum over `frames` frames.
    """

    frames: int
    log_likelihood: float
    counts: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    origin: torch.Tensor

    @classmethod
    def zeros(cls, origin: torch.Tensor, covariance_type: CovarianceType) -> "SufficientStatistics":
        """The statistics of no frame, around `origin (K, D)` (float64)."""
        components, width = origin.shape
        outer = covariance_type in ("full", "tied")
        return cls(
            frames=0,
            log_likelihood=0.0,
            counts=origin.new_zeros(components),
            first=torch.zeros_like(origin),
            second=origin.new_zeros((components, width, width) if outer else (components, width)),
            origin=origin,
        )

    def __add__(self, other: "SufficientStatistics") -> "SufficientStatistics":
        """The statistics of both sets of frames; both must come from the same E-step."""
        if not torch.equal(self.origin, other.origin):
            raise ValueError("statistics: got two origins; expected those of one EM iteration")
        return SufficientStatistics(
            frames=self.frames + other.frames,
            log_likelihood=self.log_likelihood + other.log_likelihood,
            counts=self.counts + other.counts,
            first=self.first + other.first,
            second=self.second + other.second,
            origin=self.origin,
        )

    def absorb(self, x: torch.Tensor, weights: torch.Tensor, log_likelihood: float) -> None:
        """Add, in place, frames `(n, D)` with responsibilities `(n, K)`."""
        self.frames += len(x)
        self.log_likelihood += log_likelihood
        self.counts += weights.sum(dim=0, dtype=torch.float64)
        origin, weights = self.origin.to(x.dtype), weights.to(x.dtype)
        for k in range(len(origin)):
            # most frames belong to few components: leave out the others' rows
            rows = (weights[:, k] > NEGLIGIBLE).nonzero().squeeze(1)
            weight = weights[rows, k]  # (m,)
            difference = x[rows].sub_(origin[k])  # (m, D)
            self.first[k] += weight @ difference
            if self.second.ndim == 3:
                self.second[k] += (difference * weight[:, None]).T @ difference
            else:
                self.second[k] += weight @ difference.square_()


def statistics(frames: Frames, parameters: MixtureParameters) -> SufficientStatistics:
    """The E-step: the statistics of all frames under the parameters, on the parameters' device."""
    total = SufficientStatistics.zeros(parameters.means, parameters.covariance_type)
    for x in steps_of(frames, parameters.means.device):
        if x.shape[1] != parameters.means.shape[1]:
            raise ValueError(
                f"frames: got D = {x.shape[1]}; expected D = {parameters.means.shape[1]}, "
                "that of the mixture"
            )
        posteriors, log_likelihoods = responsibilities(x, parameters)
        total.absorb(x, posteriors, float(log_likelihoods.sum()))
    return total


def m_step(
    total: SufficientStatistics, covariance_type: CovarianceType, reg_covar: float
) -> tuple[MixtureParameters, int]:
    """The parameters that maximise the expected log-likelihood, and how many were re-seeded.

    `reg_covar` is added to every variance. A component that holds fewer than `LEAST_FRAMES`
    frames, or whose covariance is not positive definite, is re-seeded: the heaviest one is split
    in its place. Raises `ValueError` where no component is sound.
    """
    counts = total.counts.clamp_min(torch.finfo(torch.float64).tiny)
    shifts = total.first / counts[:, None]  # (K, D)
    means = total.origin + shifts
    weights = total.counts / total.counts.sum()
    covariances = _covariances(total, counts, shifts, covariance_type, reg_covar)
    sound = (total.counts >= LEAST_FRAMES) & _positive_definite(covariances, covariance_type)
    bad = (~sound).nonzero().squeeze(1).tolist()
    if len(bad) == len(counts):
        raise ValueError(
            f"mixture: none of {len(counts)} components has a positive definite covariance with "
            f"reg_covar = {reg_covar}; raise it, reduce the dimensions by PCA, or use more frames"
        )
    weights = torch.where(sound, weights, 0.0)
    weights = weights / weights.sum()
    _split_heaviest(weights, means, covariances, covariance_type, bad)
    parameters = MixtureParameters(
        covariance_type=covariance_type, weights=weights, means=means, covariances=covariances
    )
    return parameters, len(bad)


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
        covariances = within / total.counts.sum()
    else:
        covariances = total.second / counts[:, None, None] - shifts[:, :, None] * shifts[:, None]
    covariances = (covariances + covariances.mT) / 2
    covariances.diagonal(dim1=-2, dim2=-1).add_(reg_covar)
    return covariances


def _positive_definite(covariances: torch.Tensor, covariance_type: CovarianceType) -> torch.Tensor:
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


def _check_positive_definite(sound: torch.Tensor) -> None:
    if not bool(sound.all()):
        raise ValueError(
            f"mixture: covariance {int((~sound).nonzero()[0])} is not positive definite; "
            "raise reg_covar, or reduce the dimensions by PCA"
        )
