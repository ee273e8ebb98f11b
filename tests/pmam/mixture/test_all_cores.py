"""Frames shared out among threads, and whitened for all components at once: the same numbers."""

from dataclasses import fields

import pytest
import torch

from pmam.clustering.kmeans import cluster_statistics
from pmam.errors import InputError
from pmam.mixture import e_step, frame_blocks
from pmam.mixture.e_step import log_joint, log_likelihood, statistics
from pmam.mixture.mahalanobis import squared_distances
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.whitening import FARTHEST, products_of

K, WIDTH = 5, 12


def mixture(spread: float) -> MixtureParameters:
    generator = torch.Generator().manual_seed(0)
    roots = torch.randn(K, WIDTH, WIDTH, generator=generator, dtype=torch.float64) / WIDTH**0.5
    return MixtureParameters(
        covariance_type="full",
        weights=torch.full((K,), 1 / K, dtype=torch.float64),
        means=spread * torch.randn(K, WIDTH, generator=generator, dtype=torch.float64),
        covariances=roots @ roots.mT + 0.05 * torch.eye(WIDTH).double(),
    )


@pytest.fixture
def three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of three cores, and with small pieces."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    for module in (e_step, frame_blocks):
        monkeypatch.setattr(module, "ROWS_ON_CPU", 100)
    monkeypatch.setattr(e_step, "LARGE_STEP", 100)


def numbers(x: torch.Tensor, parameters: MixtureParameters) -> list[torch.Tensor]:
    """All that a pass gives."""
    found = [statistics(x, parameters), cluster_statistics(x, parameters.means)]
    values = [getattr(each, field.name) for each in found for field in fields(each)]
    values += log_likelihood(x, parameters)
    return [torch.as_tensor(value, dtype=torch.float64) for value in values]


@pytest.mark.parametrize("frames", [0, 1, 99, 100, 1501])
def test_threads_share_frames_out(request: pytest.FixtureRequest, frames: int) -> None:
    parameters = mixture(1.0)
    x = parameters.sample(1501)[0][:frames].float()
    if not frames:
        request.getfixturevalue("three_threads")
        assert statistics(x, parameters).frames == 0
        return
    alone = numbers(x, parameters)
    request.getfixturevalue("three_threads")
    first, second = numbers(x, parameters), numbers(x, parameters)
    for one, again, whole in zip(first, second, alone, strict=True):
        assert torch.equal(one, again)  # whichever thread was the faster
        torch.testing.assert_close(one, whole, rtol=1e-5, atol=1e-3)


def test_an_error_in_a_thread_is_told(three_threads: None) -> None:
    parameters = mixture(1.0)
    x = parameters.sample(900)[0].float()
    with pytest.raises(InputError, match="expected D = 12"):
        statistics(x[:, :5], parameters)
    x[833, 2] = torch.nan
    with pytest.raises(InputError, match="row 833 holds NaN"):
        statistics(x, parameters)


@pytest.mark.parametrize("spread", [0.1, 1.0, 30.0, 1000.0])
def test_one_product_gives_the_distances(spread: float) -> None:
    parameters = mixture(spread)
    x = parameters.sample(2000)[0]
    factors = parameters.precision_factors
    offsets = torch.zeros(K, dtype=torch.float64)
    expected = squared_distances(x, parameters.means, factors, offsets)
    found = products_of(parameters.weights, parameters.means, factors)
    torch.testing.assert_close(found.squares(x), expected, rtol=1e-9, atol=1e-9)
    farthest = expected.amin(dim=1).sqrt().max()
    assert found.exact_in_float32 == (spread < 30)
    if found.exact_in_float32:
        own = expected.amin(dim=1)
        narrow = found.squares(x.float()).double().amin(dim=1)
        torch.testing.assert_close(narrow, own, rtol=1e-4, atol=1e-4)
    assert farthest < FARTHEST


def test_far_means_keep_their_digits_in_float32() -> None:
    """Where one product would lose them, components are looked at one by one."""
    parameters = mixture(1000.0)
    x = parameters.sample(500)[0].float()
    expected = log_joint(x.double(), parameters).logsumexp(dim=1)
    found = log_joint(x, parameters).logsumexp(dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-2)
