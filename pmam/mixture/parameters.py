"""The parameters of a Gaussian mixture, in the four covariance types of scikit-learn."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pmam.errors import InputError
from pmam.mixture.component_pruning import Screen, build_screen
from pmam.mixture.covariance import Covariance
from pmam.mixture.covariance_types import covariance_of
from pmam.mixture.settings import CovarianceType
from pmam.mixture.whitening import Products, products_of


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
        expected = covariance_of(self.covariance_type).shape(components, width)
        if self.weights.shape != (components,) or self.covariances.shape != expected:
            raise InputError(
                f"mixture parameters: got weights {tuple(self.weights.shape)} and "
                f"{self.covariance_type} covariances {tuple(self.covariances.shape)}; expected "
                f"({components},) and {expected} for means ({components}, {width})"
            )

    @property
    def covariance(self) -> Covariance:
        """What differs between the covariance types."""
        return covariance_of(self.covariance_type)

    @cached_property
    def precision_factors(self) -> torch.Tensor:
        """P with P P^T the inverse covariance: `(K, D, D)`, or `(K, D)` where it is diagonal."""
        return self.covariance.factors(self.covariances, *self.means.shape)

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

    @cached_property
    def products(self) -> Products:
        """All components' precision factors in one matrix."""
        return products_of(self.weights, self.means, self.precision_factors)

    def prepare(self) -> None:
        """Compute what is kept, before several threads ask for it."""
        _ = self.log_determinants
        if self.covariance_type == "full":
            _ = self.products

    def narrow(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Means `(K, D)` and precision factors in the precision of frames, kept for the next."""
        if dtype not in self._narrow:
            factors = self.covariance.narrowed(self.precision_factors, dtype)
            self._narrow[dtype] = (self.means.to(dtype), factors)
        return self._narrow[dtype]

    @cached_property
    def _narrow(self) -> dict[torch.dtype, tuple[torch.Tensor, torch.Tensor]]:
        return {}

    @property
    def precisions(self) -> torch.Tensor:
        """The inverse covariances, in the shape of the covariances."""
        return self.covariance.precisions(self.covariances, self.precision_factors)

    @property
    def free_parameters(self) -> int:
        """How many numbers a fit chooses: symmetric covariances count once, weights sum to 1."""
        components, width = self.means.shape
        of_covariances = self.covariance.free_parameters(components, width)
        return of_covariances + components * width + components - 1

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
            frames[rows] = self.covariance.coloured(frames[rows], self.covariances, k)
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
