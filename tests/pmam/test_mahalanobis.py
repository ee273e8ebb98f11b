"""Distances with hopeless components left out give the posteriors of all distances."""

import pytest
import torch

from pmam.gmm_stats import MixtureParameters, log_joint
from pmam.mahalanobis import FEWEST, squared_distances


def mixture(width: int, spread: float, components: int = 7) -> MixtureParameters:
    generator = torch.Generator().manual_seed(width)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    mixing = normal(components, width, width) / width**0.5
    covariances = mixing @ mixing.mT + 0.1 * torch.eye(width, dtype=torch.float64)
    weights = torch.softmax(normal(components), dim=0)
    means = spread * normal(components, width)
    return MixtureParameters(
        covariance_type="full", weights=weights, means=means, covariances=covariances
    )


@pytest.mark.parametrize("width", [FEWEST - 1, FEWEST, 250])
@pytest.mark.parametrize("spread", [0.0, 0.05, 0.3, 3.0])
def test_posteriors_are_those_of_torch_distributions(width: int, spread: float) -> None:
    parameters = mixture(width, spread)
    generator = torch.Generator().manual_seed(1)
    normal = torch.randn(500, width, generator=generator, dtype=torch.float64)
    frames = parameters.means[torch.arange(500) % 7] + normal
    density = torch.distributions.MultivariateNormal(
        parameters.means, covariance_matrix=parameters.covariances
    )
    expected = density.log_prob(frames[:, None]) + parameters.weights.log()
    found = log_joint(frames, parameters)
    best = expected.amax(dim=1, keepdim=True)
    matters = expected > best - 36
    assert torch.isfinite(found[matters]).all()
    assert torch.allclose(found[matters], expected[matters], rtol=1e-9, atol=1e-6)
    assert (found[~matters] < (best - 35).expand_as(found)[~matters]).all()
    posteriors = found.softmax(dim=1)
    assert torch.allclose(posteriors, expected.softmax(dim=1), rtol=0, atol=1e-12)


def test_far_components_are_left_out_and_near_ones_never() -> None:
    parameters = mixture(200, 3.0)
    offsets = parameters.weights.log() + parameters.log_determinants
    factors = parameters.precision_factors
    squares = squared_distances(parameters.means, parameters.means, factors, offsets)
    assert torch.equal(squares.isinf(), ~torch.eye(7, dtype=torch.bool))
    near = mixture(200, 0.0)
    offsets = near.weights.log() + near.log_determinants
    alike = near.precision_factors[:1].expand(7, 200, 200)
    squares = squared_distances(near.means, near.means, alike, offsets - offsets)
    assert squares.isfinite().all()


def test_a_component_without_weight_never_leads() -> None:
    parameters = mixture(120, 1.0)
    factors = parameters.precision_factors
    offsets = torch.zeros(7, dtype=torch.float64)
    offsets[2] = -torch.inf
    squares = squared_distances(parameters.means, parameters.means, factors, offsets)
    joint = offsets - 0.5 * squares
    assert not joint.isnan().any()
    assert joint[2].argmax() != 2
