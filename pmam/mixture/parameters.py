"""The parameters of a Gaussian mixture, in the four covariance types of scikit-learn."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pmam.errors import InputError
from pmam.mixture.component_pruning import Screen, build_screen
from pmam.mixture.covariance import covariance_shape
from pmam.mixture.settings import CovarianceType


@dataclass(frozen=True, kw_only=True, eq=False)
class MixtureParameters:
    """`weights (K,)`, `means (K, D)` and covariances, all float64 on one device.

    Covariances are `(K, D, D)` for full, `(D, D)` tied, `(K, D)` diag, `(K,)` spherical.
    Raises `InputError` where shapes disagree or a covariance is not positive definite.
    """

    covariance_type: CovarianceType
    weights: torch.Tensor
    means: torch.Tensor
    covariances: torch.Tensor

    def __post_init__(self) -> None:
        components, width = self.means.shape
        expected = covariance_shape(self.covariance_type, components, width)
        if self.weights.shape != (components,) or self.covariances.shape != expected:
            raise InputError(
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

    @cached_property
    def screen(self) -> Screen:
        """Bounds that tell which of full covariances matter for a frame."""
        return build_screen(self.weights, self.means, self.covariances, self.precision_factors)

    def narrow(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Means `(K, D)` and precision factors in the precision of frames, kept for the next."""
        if dtype not in self._narrow:
            factors = self.precision_factors
            if self.covariance_type == "tied":  # a view of one; a conversion would make K of it
                factors = factors[:1].to(dtype).expand_as(factors)
            self._narrow[dtype] = (self.means.to(dtype), factors.to(dtype))
        return self._narrow[dtype]

    @cached_property
    def _narrow(self) -> dict[torch.dtype, tuple[torch.Tensor, torch.Tensor]]:
        return {}

    @property
    def precisions(self) -> torch.Tensor:
        """The inverse covariances, in the shape of the covariances."""
        if self.covariance_type in ("diag", "spherical"):
            return self.covariances.reciprocal()
        factors = self.precision_factors
        if self.covariance_type == "tied":
            factors = factors[0]
        return factors @ factors.mT

    @property
    def free_parameters(self) -> int:
        """How many numbers a fit chooses: symmetric covariances count once, weights sum to 1."""
        components, width = self.means.shape
        per_type = {
            "full": components * width * (width + 1) // 2,
            "tied": width * (width + 1) // 2,
            "diag": components * width,
            "spherical": components,
        }
        return per_type[self.covariance_type] + components * width + components - 1

    def sample(self, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw frames `(count, D)` in float64 and their components `(count,)`, in random order."""
        if count < 1:
            raise InputError(f"sample: got {count} frames; expected at least 1")
        generator = np.random.default_rng(seed)
        shares = self.weights.cpu().numpy()
        drawn = generator.choice(len(shares), size=count, p=shares / shares.sum())
        normal = generator.standard_normal((count, self.means.shape[1]))
        labels = torch.as_tensor(drawn, device=self.means.device)
        frames = torch.as_tensor(normal, device=self.means.device)
        for k in range(len(self.means)):
            rows = (labels == k).nonzero().squeeze(1)
            frames[rows] = self._coloured(frames[rows], k)
        return frames + self.means[labels], labels

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

    def _coloured(self, white: torch.Tensor, k: int) -> torch.Tensor:
        """White noise `(n, D)` with the covariance of component k."""
        if self.covariance_type in ("diag", "spherical"):
            return white * self.covariances[k].sqrt()
        own = self.covariances if self.covariance_type == "tied" else self.covariances[k]
        lower: torch.Tensor = torch.linalg.cholesky(own)
        return white @ lower.mT


def _check_positive_definite(sound: torch.Tensor) -> None:
    if not bool(sound.all()):
        raise InputError(
            f"mixture: covariance {int((~sound).nonzero()[0])} is not positive definite; "
            "expected the covariances of a fit: check those that were given"
        )
