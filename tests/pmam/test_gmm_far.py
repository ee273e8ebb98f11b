"""Frames far from all others, or from where a fit begins; and what a fit says that cannot end."""

import re
import warnings

import numpy as np
import pytest
import torch
from gmm_cases import clusters, identity, start_near
from sklearn.mixture import GaussianMixture as Reference

from pmam.mixture.gaussian_mixture import GaussianMixture
from pmam.mixture.settings import COVARIANCE_TYPES
from pmam.mixture.sufficient_statistics import SufficientStatistics

warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")


@pytest.mark.parametrize("far", [10.0, 100.0, 1000.0, 1e6])
@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("components", [2, 5])
def test_far_frames_get_a_component_as_in_scikit_learn(far, count, components):
    generator = np.random.default_rng(0)
    x = np.concatenate(
        [generator.normal(size=(200, 4)), far + 0.1 * generator.normal(size=(count, 4))]
    )
    expected = Reference(components, n_init=3, random_state=0).fit(x).lower_bound_
    found = GaussianMixture(components).fit(x)
    assert found.converged_
    # Local optima differ by tenths; a lost frame costs thousands.
    assert found.lower_bound_ == pytest.approx(expected, abs=0.35)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_a_component_of_one_frame_has_scikit_learns_numbers(covariance_type):
    x, means = clusters(count=400, width=3, components=2)
    x = np.concatenate([x, np.full((1, 3), 500.0)])
    options = {"means_init": np.concatenate([means, x[-1:]]), "covariance_type": covariance_type}
    options |= {"weights_init": [0.5, 0.4, 0.1], "precisions_init": identity(covariance_type, 3, 3)}
    expected = Reference(3, **options).fit(x)
    found = GaussianMixture(3, **options).fit(x)
    assert (found.n_iter_, found.converged_, found.reseeded_) == (expected.n_iter_, True, 0)
    # Theirs takes squares around zero for diag: at 500 that leaves 1e-5 of a variance of 1e-6.
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-5)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, rtol=1e-3, atol=1e-9)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@pytest.mark.parametrize("given", ["means", "all"])
@pytest.mark.parametrize(("width", "away"), [(4, 1e2), (4, 1e4), (4, 1e6), (128, 1e4)])
def test_float32_frames_far_from_the_given_means(covariance_type, given, width, away):
    x, means = clusters(count=3000, width=width, spread=8.0)
    options = {"covariance_type": covariance_type, "means_init": means + away}
    if given == "all":
        options = start_near(means + away, covariance_type)
    double, single = (GaussianMixture(3, **options).fit(x.astype(t)) for t in ("f8", "f4"))
    assert double.converged_ and single.converged_
    assert single.lower_bound_ == pytest.approx(double.lower_bound_, rel=1e-4)


def test_statistics_far_from_the_means_keep_their_digits():
    """Moments of float32 frames around an origin 1e5 away, against float64 by the definition."""
    generator = np.random.default_rng(2)
    x = torch.from_numpy(generator.normal(size=(500, 3)).astype("f4"))
    weights = torch.from_numpy(generator.dirichlet(np.ones(2), size=500))
    origin = torch.tensor([[1e5, 0.0, -1e5], [0.0, 0.0, 0.0]], dtype=torch.float64)
    for kind in ("full", "diag"):
        total = SufficientStatistics.zeros(origin, kind)
        for part in (slice(0, 200), slice(200, 500)):
            total.absorb(x[part], weights[part], 0.0)
        for k in range(2):
            mean = (weights[:, k] @ x.double()) / weights[:, k].sum()
            around = x.double() - mean
            covariance = (weights[:, k, None] * around).T @ around / weights[:, k].sum()
            shift = total.first[k] / total.counts[k]
            torch.testing.assert_close(origin[k] + shift, mean, rtol=0, atol=1e-6)
            second = total.second[k] / total.counts[k]
            if kind == "full":
                found, expected = second - torch.outer(shift, shift), covariance
            else:
                found, expected = second - shift.square(), covariance.diagonal()
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("count", "width", "copies"), [(10, 20, 1), (40, 3, 0), (6, 30, 2), (300, 64, 0)]
)
def test_following_the_advice_on_the_floor_cures(count, width, copies):
    generator = np.random.default_rng(1)
    x = generator.standard_normal((count, width))
    if copies == 0:
        x[:, 1:] = x[:, :1] * generator.standard_normal((1, width - 1))  # a line
    with pytest.raises(ValueError, match="raise it") as caught:
        GaussianMixture(2, reg_covar=0.0).fit(x)
    floor = float(re.search(r"frames: (\S+) is enough", str(caught.value))[1])
    assert floor <= 1e-5
    assert np.isfinite(GaussianMixture(2, reg_covar=floor).fit(x).lower_bound_)


def test_no_floor_is_advised_where_none_helps():
    x, _ = clusters(count=200, width=4)
    x[7] = [1e12, -2e12, 3e12, 1e12]
    with pytest.raises(ValueError, match="no frames so far from all others") as caught:
        GaussianMixture(1).fit(x)
    assert "raise" not in str(caught.value)
    with pytest.raises(ValueError, match="overflow; expected smaller numbers") as caught:
        GaussianMixture(1).fit(np.random.default_rng(0).normal(size=(50, 4)).astype("f4") * 1e25)
    assert "reg_covar" not in str(caught.value)
    options = start_near(clusters()[1], "full") | {"precisions_init": np.zeros((3, 5, 5))}
    for reg_covar in (1e-6, 1.0):
        with pytest.raises(ValueError, match=r"precisions_init: .* not positive definite"):
            GaussianMixture(3, reg_covar=reg_covar, **options).fit(clusters()[0])


def test_components_that_never_hold_frames_end_the_fit():
    # Half of the frames are one point: without a floor a component falls into it again and again.
    x = np.concatenate([np.random.default_rng(0).normal(size=(60, 2)), np.full((60, 2), 0.5)])
    with pytest.raises(ValueError, match="ask for fewer than 6, or set a reg_covar above 0"):
        GaussianMixture(6, reg_covar=0.0, max_iter=10_000, tol=0).fit(x)
    assert GaussianMixture(6, reg_covar=1e-6).fit(x).reseeded_ < 60


def test_weights_of_frames_are_refused():
    x, _ = clusters(count=50)
    with pytest.raises(ValueError, match="not supported"):
        GaussianMixture(2).fit(x, sample_weight=np.ones(50))
