"""Densities of projections, brought to the full space: against the density written out there."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from pmam.clustering.pca import Projection, fit_projection, moments
from pmam.clustering.ppca_residual import (
    residual_log_likelihood,
    residual_squares,
    residual_variance,
)
from pmam.mixture.gaussian_mixture import GaussianMixture

WIDTH = 7


def frames(seed: int, count: int = 3000) -> torch.Tensor:
    generator = np.random.default_rng(seed)
    axes = np.random.default_rng(9).standard_normal((WIDTH, WIDTH))
    x = generator.standard_normal((count, WIDTH)) * np.linspace(3, 0.3, WIDTH)
    return torch.from_numpy(x @ axes + 2)


def full_space(x: torch.Tensor, projection: Projection, variance: float, reduced: float) -> float:
    count, squares = residual_squares(x, projection).tolist()
    return reduced + residual_log_likelihood(squares / count, projection, variance)


@pytest.mark.parametrize("kept", range(1, WIDTH))
def test_one_gaussian_is_probabilistic_pca(kept: int) -> None:
    """With one component, the density is that of Tipping and Bishop: scikit-learn's `score`."""
    train, held_out = frames(0), frames(1)
    projection = fit_projection(moments(train), kept, standardise=False)
    variance = residual_variance(moments(train), projection)
    # Equation 7 keeps the sample's variances along the components: so does a full covariance.
    mixture = GaussianMixture(1, reg_covar=0).fit(projection.apply(train))
    found = full_space(held_out, projection, variance, mixture.score(projection.apply(held_out)))
    expected = PCA(kept, svd_solver="full").fit(train.numpy()).score(held_out.numpy())
    assert found == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kept", [2, WIDTH])
def test_standardised_and_whitened_projections_too(kept: int, whiten: bool) -> None:
    """Against a Gaussian in the full space whose covariance is put together by hand."""
    x = frames(2)
    total = moments(x)
    projection = fit_projection(total, kept, whiten=whiten)
    variance = residual_variance(total, projection) + 1e-6
    mixture = GaussianMixture(1).fit(projection.apply(x))
    found = full_space(x, projection, variance, mixture.score(projection.apply(x)))
    parameters = mixture.parameters_
    back = (projection.deviations[:, None] * projection.components).numpy()  # (d, D)
    outside = np.eye(WIDTH) - projection.components.T.numpy() @ projection.components.numpy()
    covariance = back.T @ parameters.covariances[0].numpy() @ back + variance * outside
    scale = projection.scale.numpy()
    density = multivariate_normal(
        projection.invert(parameters.means)[0].numpy(), covariance * np.outer(scale, scale)
    )
    assert found == pytest.approx(float(np.mean(density.logpdf(x.numpy()))), abs=1e-6)


def test_parts_add_up_and_nothing_is_left_of_all_dimensions() -> None:
    x = frames(3, 500)
    projection = fit_projection(moments(x), 3)
    parts = [residual_squares(part, projection) for part in x.split([100, 350, 50])]
    torch.testing.assert_close(torch.stack(parts).sum(dim=0), residual_squares(x, projection))
    mean_square = float(residual_squares(x, projection)[1]) / 500
    variance = residual_variance(moments(x), projection)
    assert variance == pytest.approx(mean_square / (WIDTH - 3))
    whole = fit_projection(moments(x), WIDTH)
    assert residual_variance(moments(x), whole) == 0.0
    assert float(residual_squares(x, whole)[1]) == pytest.approx(0, abs=1e-6)
    assert residual_log_likelihood(1.0, None, 0.0) == 0.0


def test_more_dimensions_than_noise_needs_are_not_better() -> None:
    """Two dimensions of signal in noise: held-out likelihood peaks there, not at the most."""
    generator = np.random.default_rng(0)

    def draw(count: int) -> torch.Tensor:
        signal = generator.standard_normal((count, 2)) * 5
        return torch.from_numpy(np.pad(signal, ((0, 0), (0, 18)))) + torch.from_numpy(
            generator.standard_normal((count, 20))
        )

    train, held_out = draw(120), draw(4000)
    scores = {}
    for kept in (1, 2, 8, 20):
        projection = fit_projection(moments(train), kept, standardise=False)
        variance = residual_variance(moments(train), projection) + 1e-6
        mixture = GaussianMixture(1).fit(projection.apply(train))
        reduced = mixture.score(projection.apply(held_out))
        scores[kept] = full_space(held_out, projection, variance, reduced)
    assert max(scores, key=scores.__getitem__) == 2


def test_a_residual_without_variance_is_refused() -> None:
    projection = fit_projection(moments(frames(0)), 3)
    with pytest.raises(ValueError, match=r"got variance 0\.0 in 4 dropped dimensions"):
        residual_log_likelihood(1.0, projection, 0.0)
