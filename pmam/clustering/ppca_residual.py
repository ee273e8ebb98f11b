"""Mixtures in different numbers of PCA dimensions, compared by their density in the full space.

A density of d-dimensional projections says nothing of the D - d dimensions that the projection
drops, so those of two d are not comparable. As in probabilistic PCA (Tipping and Bishop 1999,
J. R. Stat. Soc. B 61, equations 3 and 8) what is dropped is taken for isotropic Gaussian noise,
with the variance that the training frames have there on average. The density of a frame x is then
that of the mixture at its projection, times that of the noise at the residual, times the
volume that the scaling of the axes takes.
"""

import math

import torch

from pmam.clustering.pca import Moments, Projection
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Frames, steps_of


def residual_variance(total: Moments, projection: Projection) -> float:
    """Mean variance, of standardised frames, in a dimension that the projection drops.

    Equation 8: the average of the discarded eigenvalues. 0 where nothing is dropped.
    """
    kept, width = projection.components.shape
    if kept == width:
        return 0.0
    scale = projection.scale
    covariance = total.scatter / torch.outer(scale, scale) / total.count  # (D, D)
    within = torch.einsum("id,de,ie->", projection.components, covariance, projection.components)
    return max(0.0, float(covariance.trace() - within) / (width - kept))


def residual_squares(frames: Frames, projection: Projection) -> torch.Tensor:
    """Number of frames `(N, D)` and the sum of their squared residuals, `(2,)` in float64.

    The residual is what is left of a standardised frame without its projection. Parts add up.
    """
    device = projection.components.device
    total = torch.zeros(2, dtype=torch.float64, device=device)
    for x in steps_of(frames, device):
        standardised = (x.double() - projection.mean) / projection.scale  # (n, D)
        projected = standardised @ projection.components.T  # (n, d)
        total[0] += len(x)
        total[1] += standardised.square().sum() - projected.square().sum()
    return total


def residual_log_likelihood(
    mean_square: float, projection: Projection | None, variance: float
) -> float:
    """What to add to a mean log-likelihood of projections for that of the frames, in nats.

    Args:
        mean_square: of the residuals: their mean squared length.
        projection: what the mixture sees frames through; None sees them whole: 0.
        variance: of the residual in each dropped dimension; must be positive where there is one.
    """
    if projection is None:
        return 0.0
    kept, width = projection.components.shape
    volume = float(projection.scale.log().sum() + projection.deviations.log().sum())
    if kept == width:
        return -volume
    if variance <= 0:
        raise InputError(
            f"residual: got variance {variance} in {width - kept} dropped dimensions; expected a "
            "positive one: add the regularisation of the mixture"
        )
    constant = (width - kept) * math.log(2 * math.pi * variance)
    return -0.5 * (constant + max(0.0, mean_square) / variance) - volume
