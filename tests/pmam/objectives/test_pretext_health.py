"""Numbers of predictions, and the warning where they collapse."""

import math

import pytest
import torch
from torch import Tensor, nn

from pmam.objectives.collapse import collapse, health, health_terms

TARGETS = nn.functional.one_hot(torch.arange(40) % 4, 4).float()


def numbers(logits: Tensor, targets: Tensor = TARGETS) -> dict[str, float]:
    paying, total = torch.ones(1, len(logits), dtype=torch.bool), torch.tensor(len(logits))
    found = health_terms(logits[None], targets[None], paying, total)
    terms = {name: float(value) for name, value in found.items()}
    return terms | health(terms)


def test_right_predictions_are_healthy() -> None:
    right = numbers(10 * TARGETS)
    assert collapse(right) is None
    assert [right[f"use/{k:02d}"] for k in range(4)] == pytest.approx([0.25] * 4)
    assert right["target_information"] == pytest.approx(math.log(4))
    assert right["information"] == pytest.approx(math.log(4), abs=0.01)
    assert right["entropy"] == pytest.approx(0, abs=0.01)
    assert collapse(numbers(2 * TARGETS)) is None, "unsure is not collapsed"


def test_uniform_and_constant_output_are_told() -> None:
    uniform = numbers(torch.zeros(40, 4))
    assert uniform["entropy"] == pytest.approx(math.log(4))
    assert "collapsed to uniform" in (collapse(uniform) or "")
    constant = numbers(torch.tensor([[9.0, 0.0, 0.0, 0.0]]).expand(40, 4))
    assert constant["use/00"] > 0.99
    assert constant["use_entropy"] < 0.01
    assert "collapsed to constant" in (collapse(constant) or "")


def test_targets_that_say_nothing_accuse_nobody() -> None:
    assert collapse(numbers(torch.zeros(10, 4), torch.full((10, 4), 0.25))) is None


def test_rounded_and_missing_posteriors_count_as_shares() -> None:
    found = numbers(10 * TARGETS, 0.97 * TARGETS)
    assert found["target_information"] == pytest.approx(math.log(4))
    assert numbers(10 * TARGETS, 0 * TARGETS)["target_information"] == pytest.approx(0, abs=1e-6)


def test_parts_add_up_and_padding_counts_for_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, posteriors = torch.randn(2, 6, 10, 4, generator=generator)
    posteriors = posteriors.softmax(dim=-1)
    paying = torch.rand(6, 10, generator=generator) < 0.5
    total = paying.sum()
    whole = health_terms(logits, posteriors, paying, total)
    parts = [
        health_terms(logits[part::3], posteriors[part::3], paying[part::3], total)
        for part in range(3)
    ]
    for name, value in whole.items():
        assert float(sum(part[name] for part in parts)) == pytest.approx(float(value), abs=1e-6)
    use = logits[paying].softmax(dim=-1).mean(dim=0)
    assert [float(whole[f"use/{k:02d}"]) for k in range(4)] == pytest.approx(use.tolist())
    use = posteriors[paying].mean(dim=0)
    assert [float(whole[f"target_use/{k:02d}"]) for k in range(4)] == pytest.approx(use.tolist())
