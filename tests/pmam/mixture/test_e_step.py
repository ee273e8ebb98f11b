import numpy as np
import pytest
import torch
from gmm_cases import clusters, identity
from hypothesis import given, settings
from hypothesis import strategies as st

from pmam.mixture.e_step import responsibilities, statistics
from pmam.mixture.m_step import m_step
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.settings import COVARIANCE_TYPES
from pmam.mixture.sufficient_statistics import SufficientStatistics


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
@given(
    seed=st.integers(0, 2**31),
    cut=st.integers(0, 200),
    offset=st.sampled_from([0.0, 1e3]),
)
@settings(max_examples=15, deadline=None)
def test_statistics_of_a_union_are_the_sum(covariance_type, seed, cut, offset):
    x, means = clusters(count=200, width=3, seed=seed)
    x, means = x + offset, means + offset
    parameters = MixtureParameters(
        covariance_type=covariance_type,
        weights=torch.full((3,), 1 / 3, dtype=torch.float64),
        means=torch.from_numpy(means),
        covariances=torch.from_numpy(identity(covariance_type, 3, 3)),
    )
    whole = statistics(x, parameters)
    parts = statistics(x[:cut], parameters) + statistics(x[cut:], parameters)
    assert parts.frames == whole.frames == 200
    assert parts.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)
    for name in ("counts", "first", "second"):
        torch.testing.assert_close(
            getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-8
        )


@pytest.mark.parametrize(
    ("covariance_type", "moments"),
    [("full", "nk,nkd,nke->kde"), ("tied", "nk,nkd,nke->de"), ("diag", "nk,nkd,nkd->kd")],
)
def test_statistics_are_weighted_moments_by_the_definition(covariance_type, moments):
    """Of one covariance for all there is one sum, not one per component."""
    x, means = clusters(count=50, width=4)
    x = torch.from_numpy(x)
    parameters = MixtureParameters(
        covariance_type=covariance_type,
        weights=torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64),
        means=torch.from_numpy(means),
        covariances=2 * torch.from_numpy(identity(covariance_type, 3, 4)),
    )
    densities = torch.stack(
        [
            w
            * torch.distributions.MultivariateNormal(m, 2 * torch.eye(4).double()).log_prob(x).exp()
            for w, m in zip(parameters.weights, parameters.means, strict=True)
        ],
        dim=1,
    )
    posterior = densities / densities.sum(dim=1, keepdim=True)
    found = statistics(x, parameters)
    difference = x[:, None] - parameters.means  # (n, K, D)
    assert found.log_likelihood == pytest.approx(float(densities.sum(dim=1).log().sum()))
    torch.testing.assert_close(found.counts, posterior.sum(dim=0))
    torch.testing.assert_close(found.first, torch.einsum("nk,nkd->kd", posterior, difference))
    second = torch.einsum(moments, posterior, difference, difference)
    assert found.second.numel() == second.numel()
    torch.testing.assert_close(found.second.reshape(second.shape), second)


def test_statistics_of_other_iterations_do_not_add():
    origin = torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="one EM iteration"):
        _ = SufficientStatistics.zeros(origin, "full") + SufficientStatistics.zeros(
            origin + 1, "full"
        )
    with pytest.raises(ValueError, match="kinds of covariance"):
        _ = SufficientStatistics.zeros(origin, "full") + SufficientStatistics.zeros(origin, "tied")


def test_extreme_distances_stay_in_the_log_domain():
    x, means = clusters(count=100, width=3)
    parameters = MixtureParameters(
        covariance_type="diag",
        weights=torch.full((3,), 1 / 3, dtype=torch.float64),
        means=torch.from_numpy(means),
        covariances=torch.full((3, 3), 1e-6, dtype=torch.float64),
    )
    posteriors, log_likelihoods = responsibilities(torch.from_numpy(x + 1e4), parameters)
    assert torch.isfinite(log_likelihoods).all()
    torch.testing.assert_close(posteriors.sum(dim=1), torch.ones(100, dtype=torch.float64))


def test_m_step_weights_ignore_reseeded_mass():
    origin = torch.zeros(3, 2, dtype=torch.float64)
    total = SufficientStatistics.zeros(origin, "diag")
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((100, 2)))
    total.absorb(x, torch.eye(3)[torch.arange(100) % 2], 0.0)
    parameters, reseeded = m_step(total, "diag", 1e-6)
    assert reseeded == 1
    assert parameters.weights.tolist() == pytest.approx([0.25, 0.5, 0.25])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_covariance_that_all_share_is_kept_once(dtype):
    """Not once per component: in many dimensions that is what decides the memory."""
    components, width = 30, 64
    parameters = MixtureParameters(
        covariance_type="tied",
        weights=torch.full((components,), 1 / components, dtype=torch.float64),
        means=torch.randn(components, width, dtype=torch.float64),
        covariances=torch.eye(width, dtype=torch.float64),
    )
    x = torch.randn(100, width, dtype=dtype)
    held = [statistics(x, parameters).second, parameters.narrow(dtype)[1]]
    assert [t.untyped_storage().nbytes() // t.itemsize for t in held] == [width**2] * 2
