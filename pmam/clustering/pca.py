"""Standardisation and exact PCA from moments that add up across blocks."""

from dataclasses import dataclass

import torch

from pmam.errors import InputError
from pmam.mixture.frame_blocks import Device, Frames, steps_of


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Number of frames, `mean (D,)` and `scatter (D, D)` around that mean, in float64."""

    count: int
    mean: torch.Tensor
    scatter: torch.Tensor

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both sets of frames (Chan, Golub and LeVeque 1979, equation 2.1)."""
        if not self.count or not other.count:
            return self if self.count else other
        count = self.count + other.count
        difference = other.mean - self.mean  # (D,)
        between = torch.outer(difference, difference) * (self.count * other.count / count)
        return Moments(
            count=count,
            mean=self.mean + difference * (other.count / count),
            scatter=self.scatter + other.scatter + between,
        )


def moments(frames: Frames, device: Device = None) -> Moments:
    """The moments of frames `(N, D)` in one pass; `InputError` for no frames or bad ones."""
    total: Moments | None = None
    for x in steps_of(frames, device):
        mean = x.double().mean(dim=0) if len(x) else x.new_zeros(x.shape[1], dtype=torch.float64)
        centred = x.double() - mean  # (n, D)
        part = Moments(count=len(x), mean=mean, scatter=centred.T @ centred)
        total = part if total is None else total + part
    if total is None or total.count == 0:
        raise InputError("frames: got none; expected at least one block of (n, D)")
    return total


@dataclass(frozen=True, kw_only=True, eq=False)
class Standardiser:
    """Subtracts `mean (D,)` and divides by `scale (D,)`."""

    mean: torch.Tensor
    scale: torch.Tensor

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Standardised frames `(..., D)`, in the frames' precision and on their device."""
        return (x - self.mean.to(x)) / self.scale.to(x)

    def invert(self, y: torch.Tensor) -> torch.Tensor:
        """The frames `(..., D)` that `apply` standardised."""
        return y * self.scale.to(y) + self.mean.to(y)


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Standardises by `mean (D,)` and `scale (D,)`, then projects on `components (d, D)`.

    The rows of `components` are orthonormal; `deviations (d,)` divide the result: the standard
    deviations along the components where the projection whitens, else ones.
    """

    mean: torch.Tensor
    scale: torch.Tensor
    components: torch.Tensor
    deviations: torch.Tensor

    def __post_init__(self) -> None:
        kept, width = self.components.shape
        shapes = (self.mean.shape, self.scale.shape, self.deviations.shape)
        if shapes != ((width,), (width,), (kept,)):
            raise InputError(
                f"projection: got mean, scale, deviations of {[tuple(s) for s in shapes]}; "
                f"expected ({width},), ({width},), ({kept},) for components ({kept}, {width})"
            )

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """Frames `(..., D)` to `(..., d)`, in their precision and on their device."""
        standardised = (x - self.mean.to(x)) / self.scale.to(x)
        return standardised @ self.components.to(x).T / self.deviations.to(x)

    def invert(self, y: torch.Tensor) -> torch.Tensor:
        """The point `(..., D)` in the span of the components that `apply` maps to `y (..., d)`."""
        standardised = (y * self.deviations.to(y)) @ self.components.to(y)
        return standardised * self.scale.to(y) + self.mean.to(y)


def fit_standardiser(total: Moments) -> Standardiser:
    """Mean and standard deviation of each dimension; a constant one is divided by 1."""
    return Standardiser(mean=total.mean, scale=_scale(total))


def fit_projection(
    total: Moments, dimensions: int, *, standardise: bool = True, whiten: bool = False
) -> Projection:
    """The first principal components, of standardised frames by default.

    In each component the entry of largest magnitude is positive, as in scikit-learn, so that the
    same moments give the same signs. Raises `InputError` where `dimensions` is not in 1..D, or is
    more than whitening has variance for.
    """
    width = len(total.mean)
    if not 1 <= dimensions <= width:
        raise InputError(f"PCA: got {dimensions} dimensions of D = {width}; expected 1..{width}")
    scale = _scale(total) if standardise else torch.ones_like(total.mean)
    covariance = total.scatter / torch.outer(scale, scale) / max(total.count - 1, 1)
    variances, axes = torch.linalg.eigh(covariance)  # ascending
    variances = variances.flip(0)[:dimensions]
    components = axes.T.flip(0)[:dimensions]  # (d, D)
    largest = components.abs().argmax(dim=1, keepdim=True)
    components = components * components.gather(1, largest).sign()
    if whiten:
        check_rank(variances, width)
    return Projection(
        mean=total.mean,
        scale=scale,
        components=components.contiguous(),
        deviations=variances.sqrt() if whiten else torch.ones_like(variances),
    )


def scale_of(mean: torch.Tensor, variances: torch.Tensor) -> torch.Tensor:
    """Standard deviations `(D,)`; 1 where a dimension varies by no more than rounding does."""
    rounding = (10 * torch.finfo(torch.float64).eps * mean) ** 2
    return torch.where(variances > rounding, variances, 1.0).sqrt()


def check_rank(variances: torch.Tensor, width: int) -> None:
    """`InputError` where the last of `variances (d,)` is none to whiten by; `width` is D."""
    floor = variances[0] * width * torch.finfo(torch.float64).eps
    if bool((variances <= floor).any()):
        raise InputError(
            f"PCA: got {len(variances)} dimensions to whiten; expected at most "
            f"{int((variances > floor).sum())}, the rank of the frames"
        )


def _scale(total: Moments) -> torch.Tensor:
    return scale_of(total.mean, total.scatter.diagonal() / total.count)
