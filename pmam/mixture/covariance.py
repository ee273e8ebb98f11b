"""What a covariance type of a mixture is: all that differs between `covariance_types`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from pmam.mixture.parameters import MixtureParameters

Shape = tuple[int, ...]


class Covariance(ABC):
    """What a type says of the covariances of K components in D dimensions.

    Factors are P with P P^T the inverse covariance: `(K, D, D)`, or `(K, D)` where it is diagonal.
    Second moments are sums of outer products `(K, D, D)`, of those of all components `(1, D, D)`,
    or of squares `(K, D)`.
    """

    shared = False  # whether all components have one covariance

    @abstractmethod
    def shape(self, components: int, width: int) -> Shape:
        """In which covariances are kept."""

    @abstractmethod
    def moments_shape(self, components: int, width: int) -> Shape:
        """Of the second moments that the M-step needs."""

    @abstractmethod
    def free_parameters(self, components: int, width: int) -> int:
        """How many numbers of the covariances a fit chooses."""

    @abstractmethod
    def of_moments(
        self, second: Tensor, counts: Tensor, shifts: Tensor, reg_covar: float
    ) -> Tensor:
        """Covariances from second moments around the old means, moved to the new ones.

        `counts (K,)` are frames per component (none is 0), `shifts (K, D)` new means minus old;
        `reg_covar` is added to every variance.
        """

    @abstractmethod
    def positive_definite(self, covariances: Tensor) -> Tensor:
        """Which components (one for all, where it is shared) have a usable covariance."""

    @abstractmethod
    def factors(self, covariances: Tensor, components: int, width: int) -> Tensor:
        """P of each component; `InputError` where a covariance is not positive definite."""

    @abstractmethod
    def precisions(self, covariances: Tensor, factors: Tensor) -> Tensor:
        """The inverse covariances, in the shape of the covariances."""

    @abstractmethod
    def inverse(self, precisions: Tensor) -> Tensor:
        """Covariances from their inverses, in the same shape."""

    @abstractmethod
    def squares(
        self, x: Tensor, model: MixtureParameters, offsets: Tensor, margin: float
    ) -> Tensor:
        """Squared Mahalanobis distances `(n, K)` of frames `(n, D)`; see `squared_distances`."""

    @abstractmethod
    def coloured(self, white: Tensor, covariances: Tensor, k: int) -> Tensor:
        """White noise `(n, D)` with the covariance of component k."""

    @abstractmethod
    def principal_variances(self, covariances: Tensor) -> Tensor:
        """Variances `(K, D)` along the axes of each covariance, as many as it tells apart."""

    @abstractmethod
    def longest_axis(self, covariance: Tensor, width: int) -> Tensor:
        """One standard deviation `(D,)` along the largest variance of one component."""

    @abstractmethod
    def variances_of(self, x: Tensor) -> Tensor:
        """Variances `(D,)` of centred frames `(n, D)` along the axes that this type sees."""

    def narrowed(self, factors: Tensor, dtype: torch.dtype) -> Tensor:
        """Factors in another precision."""
        return factors.to(dtype)

    def of_component(self, covariances: Tensor, k: int) -> Tensor:
        """The covariance of component k."""
        return covariances if self.shared else covariances[k]

    def replace(self, covariances: Tensor, k: int, by: int) -> None:
        """Give component k the covariance of another, in place."""
        if not self.shared:
            covariances[k] = covariances[by]

    def ordered(self, covariances: Tensor, order: list[int]) -> Tensor:
        """The covariances of components numbered anew."""
        return covariances if self.shared else covariances[order]
