"""Distances with hopeless components left out give the posteriors of all distances."""

import pytest
import torch

from pmam.mixture.e_step import log_joint, responsibilities
from pmam.mixture.mahalanobis import FEWEST, squared_distances
from pmam.mixture.parameters import MixtureParameters


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


def distances(parameters: MixtureParameters, x: torch.Tensor) -> torch.Tensor:
    """With the screen, of frames in their own precision."""
    means, factors = parameters.narrow(x.dtype)
    offsets = parameters.weights.log() + parameters.log_determinants
    return squared_distances(x, means, factors, offsets, parameters.screen)


@pytest.mark.parametrize("width", [6, FEWEST, 250])
@pytest.mark.parametrize("temperature", [0.5, 3.0, 40.0])
def test_a_temperature_softens_posteriors_and_leaves_likelihoods(
    width: int, temperature: float
) -> None:
    """Of components that are hopeless without one, too: far ones get their share of a soft one."""
    parameters = mixture(width, 0.5)
    frames = parameters.means + 0.3
    density = torch.distributions.MultivariateNormal(
        parameters.means, covariance_matrix=parameters.covariances
    )
    expected = density.log_prob(frames[:, None]) + parameters.weights.log()
    posteriors, likelihoods = responsibilities(frames, parameters, temperature)
    assert torch.allclose(posteriors, (expected / temperature).softmax(dim=1), rtol=0, atol=1e-9)
    assert torch.allclose(likelihoods, expected.logsumexp(dim=1), rtol=1e-9)


def test_far_components_are_left_out_and_near_ones_never() -> None:
    parameters = mixture(200, 3.0)
    squares = distances(parameters, parameters.means)
    assert torch.equal(squares.isinf(), ~torch.eye(7, dtype=torch.bool))
    near = mixture(200, 0.0)
    alike = near.covariances[:1].expand(7, 200, 200)
    same = MixtureParameters(
        covariance_type="full", weights=near.weights, means=near.means, covariances=alike
    )
    assert distances(same, near.means).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("offset", "apart"), [(0.0, 0.0), (1e4, 0.0), (0.0, 1e5)])
def test_no_rounding_drops_a_component_that_matters(
    dtype: torch.dtype, offset: float, apart: float
) -> None:
    """Variances from 1e-6 to 100 in one mixture, far from zero or from the mixture's mean."""
    width, components = 130, 5
    generator = torch.Generator().manual_seed(3)
    axes = torch.linalg.qr(
        torch.randn(components, width, width, generator=generator, dtype=torch.float64)
    ).Q
    variances = torch.logspace(-6, 2, width, dtype=torch.float64)
    covariances = (axes * variances) @ axes.mT
    means = torch.randn(components, width, generator=generator, dtype=torch.float64) + offset
    # two components that share their frames, beside three that do not
    means[1], covariances[1] = means[0], covariances[0] * 1.05
    means[4] += apart
    weights = torch.full((components,), 0.2, dtype=torch.float64)
    parameters = MixtureParameters(
        covariance_type="full",
        weights=weights,
        means=means.to(dtype).double(),
        covariances=covariances,
    )
    frames, labels = parameters.sample(400, seed=1)
    frames = frames.to(dtype)
    squares = distances(parameters, frames)
    shared = squares[labels < 2]
    assert shared[:, :2].isfinite().all()
    assert squares[torch.arange(400), labels].isfinite().all()
    assert shared[:, 2:].isinf().any()


@pytest.mark.parametrize("components", [1, 2])
def test_few_components(components: int) -> None:
    parameters = mixture(FEWEST, 0.1, components)
    frames, _ = parameters.sample(50, seed=2)
    density = torch.distributions.MultivariateNormal(parameters.means, parameters.covariances)
    expected = density.log_prob(frames[:, None]) + parameters.weights.log()
    torch.testing.assert_close(
        log_joint(frames, parameters).logsumexp(dim=1), expected.logsumexp(dim=1)
    )


def test_a_component_without_weight_never_leads() -> None:
    alive = mixture(120, 1.0)
    weights = torch.full((7,), 1 / 6, dtype=torch.float64)
    weights[2] = 0
    parameters = MixtureParameters(
        covariance_type="full", weights=weights, means=alive.means, covariances=alive.covariances
    )
    joint = log_joint(alive.means, parameters)
    assert not joint.isnan().any()
    assert joint[2].argmax() != 2
