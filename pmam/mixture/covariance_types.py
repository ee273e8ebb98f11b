"""The covariance types of a mixture, those of scikit-learn, by name in `COVARIANCES`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pmam.errors import InputError
from pmam.mixture.covariance import Covariance, Shape
from pmam.mixture.mahalanobis import FEWEST, squared_distances
from pmam.mixture.settings import CovarianceType

if TYPE_CHECKING:
    from pmam.mixture.parameters import MixtureParameters


class _Matrices(Covariance):
    """Covariances that are matrices."""

    def positive_definite(self, covariances: Tensor) -> Tensor:
        status: Tensor = torch.linalg.cholesky_ex(covariances).info
        return status == 0

    def factors(self, covariances: Tensor, components: int, width: int) -> Tensor:
        lower, status = torch.linalg.cholesky_ex(covariances)
        _check(status.reshape(-1) == 0)
        identity = torch.eye(width, dtype=lower.dtype, device=lower.device)
        inverse: Tensor = torch.linalg.solve_triangular(
            lower, identity.expand_as(lower), upper=False
        )
        return inverse.mT.expand(components, width, width)

    def inverse(self, precisions: Tensor) -> Tensor:
        inverse: Tensor = torch.linalg.inv_ex(precisions).inverse
        return inverse

    def coloured(self, white: Tensor, covariances: Tensor, k: int) -> Tensor:
        lower: Tensor = torch.linalg.cholesky(self.of_component(covariances, k))
        return white @ lower.mT

    def principal_variances(self, covariances: Tensor) -> Tensor:
        variances: Tensor = torch.linalg.eigvalsh(covariances.reshape(-1, *covariances.shape[-2:]))
        return variances

    def longest_axis(self, covariance: Tensor, width: int) -> Tensor:
        variances, axes = torch.linalg.eigh(covariance)
        axis: Tensor = axes[:, -1] * variances[-1].sqrt()
        return axis * axis[axis.abs().argmax()].sign()

    def variances_of(self, x: Tensor) -> Tensor:
        variances: Tensor = torch.linalg.eigvalsh(x.T @ x) / len(x)
        return variances


class Full(_Matrices):
    """A matrix for each component: `(K, D, D)`."""

    def shape(self, components: int, width: int) -> Shape:
        return components, width, width

    moments_shape = shape

    def free_parameters(self, components: int, width: int) -> int:
        return components * width * (width + 1) // 2

    def of_moments(
        self, second: Tensor, counts: Tensor, shifts: Tensor, reg_covar: float
    ) -> Tensor:
        covariances = torch.empty_like(second)
        for covariance, own, count, shift in zip(covariances, second, counts, shifts, strict=True):
            # one by one: they stay in the cache
            torch.div(own, count, out=covariance).addr_(shift, shift, alpha=-1)
            _regularised(covariance, reg_covar)
        return covariances

    def precisions(self, covariances: Tensor, factors: Tensor) -> Tensor:
        return factors @ factors.mT

    def squares(
        self, x: Tensor, model: MixtureParameters, offsets: Tensor, margin: float
    ) -> Tensor:
        if x.shape[1] < FEWEST and (model.products.exact_in_float32 or x.dtype == torch.float64):
            return model.products.squares(x)
        means, factors = model.narrow(x.dtype)
        screen = model.screen if x.shape[1] >= FEWEST else None
        return squared_distances(x, means, factors, offsets, screen, margin)


class Tied(_Matrices):
    """One matrix for all components: `(D, D)`."""

    shared = True

    def shape(self, components: int, width: int) -> Shape:
        return width, width

    def moments_shape(self, components: int, width: int) -> Shape:
        return 1, width, width

    def free_parameters(self, components: int, width: int) -> int:
        return width * (width + 1) // 2

    def of_moments(
        self, second: Tensor, counts: Tensor, shifts: Tensor, reg_covar: float
    ) -> Tensor:
        within = second.sum(dim=0) - torch.einsum("k,kd,ke->de", counts, shifts, shifts)
        return _regularised(within.div_(counts.sum()), reg_covar)

    def narrowed(self, factors: Tensor, dtype: torch.dtype) -> Tensor:
        # a view of one; a conversion would make K of it
        return factors[:1].to(dtype).expand_as(factors)

    def precisions(self, covariances: Tensor, factors: Tensor) -> Tensor:
        return factors[0] @ factors[0].mT

    def squares(
        self, x: Tensor, model: MixtureParameters, offsets: Tensor, margin: float
    ) -> Tensor:
        means, factors = model.narrow(x.dtype)
        whitened = [(x - m) @ factors[0] for m in means]
        return torch.stack([y.square_().sum(dim=1) for y in whitened], dim=1)


class _Variances(Covariance):
    """Covariances that are diagonal."""

    def moments_shape(self, components: int, width: int) -> Shape:
        return components, width

    def positive_definite(self, covariances: Tensor) -> Tensor:
        return (covariances > 0).reshape(len(covariances), -1).all(dim=1)

    def factors(self, covariances: Tensor, components: int, width: int) -> Tensor:
        _check(self.positive_definite(covariances))
        return covariances.rsqrt().reshape(components, -1).expand(components, width)

    def precisions(self, covariances: Tensor, factors: Tensor) -> Tensor:
        return covariances.reciprocal()

    def inverse(self, precisions: Tensor) -> Tensor:
        return precisions.reciprocal()

    def squares(
        self, x: Tensor, model: MixtureParameters, offsets: Tensor, margin: float
    ) -> Tensor:
        pairs = zip(*model.narrow(x.dtype), strict=True)
        return torch.stack([((x - m) * f).square_().sum(dim=1) for m, f in pairs], dim=1)

    def coloured(self, white: Tensor, covariances: Tensor, k: int) -> Tensor:
        return white * covariances[k].sqrt()

    def longest_axis(self, covariance: Tensor, width: int) -> Tensor:
        variances = covariance.expand(width)
        longest = variances.argmax()
        step = torch.zeros_like(variances)
        step[longest] = variances[longest].sqrt()
        return step

    def variances_of(self, x: Tensor) -> Tensor:
        return x.square().mean(dim=0)


class Diagonal(_Variances):
    """A variance for each component and dimension: `(K, D)`."""

    def shape(self, components: int, width: int) -> Shape:
        return components, width

    def free_parameters(self, components: int, width: int) -> int:
        return components * width

    def of_moments(
        self, second: Tensor, counts: Tensor, shifts: Tensor, reg_covar: float
    ) -> Tensor:
        return second / counts[:, None] - shifts.square() + reg_covar

    def principal_variances(self, covariances: Tensor) -> Tensor:
        return covariances


class Spherical(_Variances):
    """A variance for each component: `(K,)`."""

    def shape(self, components: int, width: int) -> Shape:
        return (components,)

    def free_parameters(self, components: int, width: int) -> int:
        return components

    def of_moments(
        self, second: Tensor, counts: Tensor, shifts: Tensor, reg_covar: float
    ) -> Tensor:
        return (second / counts[:, None] - shifts.square() + reg_covar).mean(dim=1)

    def principal_variances(self, covariances: Tensor) -> Tensor:
        return covariances.reshape(-1, 1)


COVARIANCES: Mapping[CovarianceType, Covariance] = MappingProxyType(
    {"full": Full(), "tied": Tied(), "diag": Diagonal(), "spherical": Spherical()}
)


def covariance_of(covariance_type: CovarianceType) -> Covariance:
    """What differs in this type; `InputError` for an unknown one."""
    if covariance_type not in COVARIANCES:
        raise InputError(
            f"covariance_type: got {covariance_type!r}; expected one of {', '.join(COVARIANCES)}"
        )
    return COVARIANCES[covariance_type]


def _regularised(covariance: Tensor, reg_covar: float) -> Tensor:
    """Symmetric to the bit `(D, D)`, with `reg_covar` added to the variances; in place."""
    covariance.add_(covariance.mT.clone()).mul_(0.5).diagonal().add_(reg_covar)
    return covariance


def _check(sound: Tensor) -> None:
    if not bool(sound.all()):
        raise InputError(
            f"mixture: covariance {int((~sound).nonzero()[0])} is not positive definite; "
            "expected the covariances of a fit: check those that were given"
        )
