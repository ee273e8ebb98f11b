"""Every prototype objective against a formula written out in numpy, and its gradient."""

import math

import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor, nn

from pmam.objectives.losses.clip_bce import clip_bce, clip_labels
from pmam.objectives.losses.registry import PRETEXTS
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.settings import MaskSettings, PretextSettings

FRAMES, K, WIDTH = 7, 5, 4


def case(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs (FRAMES, WIDTH), means (K, WIDTH), posteriors (FRAMES, K)."""
    generator = np.random.default_rng(seed)
    posteriors = generator.dirichlet(np.full(K, 0.5), FRAMES)
    return generator.normal(size=(FRAMES, WIDTH)), generator.normal(size=(K, WIDTH)), posteriors


def by_hand(
    name: str, temperature: float, output: np.ndarray, means: np.ndarray, posteriors: np.ndarray
) -> np.ndarray:
    losses = []
    for frame, target in zip(output, posteriors, strict=True):
        cosines = [
            float(frame @ mean / math.sqrt(frame @ frame) / math.sqrt(mean @ mean))
            for mean in means
        ]
        logits = [(2 * (c if c > 0 else 0.2 * c) - 1) / temperature for c in cosines]
        likeliest = max(range(K), key=lambda k: target[k])
        if name in ("prototype_bce", "focal", "label_smoothing"):
            terms = []
            for logit, wanted in zip(logits, target, strict=True):
                p = 1 / (1 + math.exp(-logit))
                y = 0.9 * wanted + 0.05 if name == "label_smoothing" else wanted
                term = -y * math.log(p) - (1 - y) * math.log(1 - p)
                terms.append(term * (abs(wanted - p) ** 2 if name == "focal" else 1))
            losses.append(sum(terms) / K)
            continue
        if name == "info_nce":
            logits = [c / temperature for c in cosines]
        total = sum(math.exp(logit) for logit in logits)
        logs = [math.log(math.exp(logit) / total) for logit in logits]
        if name == "softmax_cross_entropy":
            losses.append(-sum(y * log for y, log in zip(target, logs, strict=True)))
        else:
            losses.append(-logs[likeliest])
    return np.array(losses)


@pytest.mark.parametrize("name", PRETEXTS)
@pytest.mark.parametrize(("seed", "temperature"), [(0, 0.1), (1, 0.1), (2, 0.2), (3, 1.0)])
def test_values_are_those_of_the_formula(name: str, seed: int, temperature: float) -> None:
    arrays = case(seed)
    ours = PRETEXTS[name](*(torch.from_numpy(array) for array in arrays), temperature)
    np.testing.assert_allclose(ours.numpy(), by_hand(name, temperature, *arrays), rtol=1e-9)


@pytest.mark.parametrize("name", PRETEXTS)
def test_pretraining_takes_the_temperature_of_its_settings(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(3, 5, generator=generator)
    posteriors = torch.rand(2, 20, 3, generator=generator).softmax(dim=-1)
    inputs = torch.randn(2, 80, tiny_models.backbone().encoder.width, generator=generator)
    padding = torch.zeros(2, 20, dtype=torch.bool)
    batch = PretextBatch(inputs=inputs, posteriors=posteriors, padding=padding)
    entropies = []
    for temperature in (0.1, 0.3):
        settings = PretextSettings(
            objective=name, temperature=temperature, mask=MaskSettings(rate=0.0)
        )
        module = Pretraining(tiny_models.masked(), means, settings).eval()
        said: list[Tensor] = []
        module.model.head.register_forward_hook(lambda *given, said=said: said.append(given[2]))
        loss, logs = module(batch, torch.Generator().manual_seed(1))
        expected = PRETEXTS[name](said[0], means, posteriors, temperature).mean()
        torch.testing.assert_close(loss, expected)
        entropies.append(float(logs["entropy"]))
    assert entropies[1] > entropies[0] + 0.1  # less sure


@pytest.mark.parametrize("name", PRETEXTS)
def test_gradients_are_those_of_small_differences(name: str) -> None:
    output, means, posteriors = (torch.from_numpy(array) for array in case(3))
    loss = lambda x: PRETEXTS[name](x, means, posteriors)  # noqa: E731
    assert torch.autograd.gradcheck(loss, output.requires_grad_())


@pytest.mark.parametrize("name", PRETEXTS)
def test_any_leading_dimensions_and_one_loss_per_frame(name: str) -> None:
    output, means, posteriors = (torch.from_numpy(array) for array in case())
    flat = PRETEXTS[name](output, means, posteriors)
    nested = PRETEXTS[name](output[None, :, None], means, posteriors[None, :, None])
    assert nested.shape == (1, FRAMES, 1)
    torch.testing.assert_close(nested.flatten(), flat)


@pytest.mark.parametrize("name", PRETEXTS)
def test_descent_finds_the_likeliest_prototype(name: str) -> None:
    means = torch.eye(4)
    wanted = torch.arange(4).repeat(5)
    posteriors = nn.functional.one_hot(wanted, 4).float()
    torch.manual_seed(0)
    # From the side of all prototypes: away from one, the leaky slope of its cosine holds back.
    output = (1 + 0.3 * torch.randn(20, 4)).requires_grad_()
    optimizer = torch.optim.Adam([output], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        PRETEXTS[name](output, means, posteriors).mean().backward()
        optimizer.step()
    assert torch.equal((output @ means.T).argmax(dim=1), wanted)


def test_clip_labels_count_frames_that_hold_audio() -> None:
    posteriors = torch.tensor([[[0.6, 0.4, 0.0], [0.4, 0.5, 0.1], [0.0, 1.0, 0.0]]])
    padding = torch.tensor([[False, False, True]])
    assert clip_labels(posteriors, padding).tolist() == [[1.0, 0.0, 0.0]]
    assert clip_labels(posteriors, padding & False).tolist() == [[1.0, 1.0, 0.0]]
    probabilities = torch.tensor([[0.8, 0.3, 0.5]], requires_grad=True)
    loss = clip_bce(probabilities, clip_labels(posteriors, padding))
    expected = -(math.log(0.8) + math.log(0.7) + math.log(0.5)) / 3
    assert loss.item() == pytest.approx(expected)
