"""A learning rate that falls on plateaus, against torch's own schedule."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pmam.training.schedules import plateau_scale
from pmam.training.settings import OptimizerSettings, Plateau
from pmam.training.trainer import Trainer


@settings(max_examples=80)
@given(
    values=st.lists(st.integers(0, 6).map(lambda n: n / 7), max_size=30),
    patience=st.integers(0, 4),
    factor=st.sampled_from([0.1, 0.5]),
)
def test_the_scale_is_that_of_torch(values: list[float], patience: int, factor: float) -> None:
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", patience=patience, factor=factor, eps=0.0
    )
    for count, value in enumerate(values, start=1):
        schedule.step(value)
        found = plateau_scale(values[:count], patience, factor)
        assert found == pytest.approx(optimizer.param_groups[0]["lr"])


def trainer() -> Trainer:
    torch.manual_seed(0)
    settings = OptimizerSettings(steps=9, head_lr=0.1, warm_up_steps=0, flat_share=1.0)
    return Trainer(
        nn.Linear(3, 1), settings, seed=0, plateau=Plateau(metric="x", patience=0, factor=0.5)
    )


def step_of(trained: Trainer) -> float:
    module = trained.module
    return trained.take_step(lambda step, generator: (module(torch.ones(1, 3)).square().sum(), {}))[
        "lr/head"
    ]


def test_the_rate_follows_what_the_trainer_is_told_and_goes_on_from_a_checkpoint() -> None:
    first = trainer()
    rates = [step_of(first)]
    for value in (0.5, 0.4, 0.4):
        first.judge(value)
        rates.append(step_of(first))
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.025])
    second = trainer()
    second.restore(first.state())
    second.judge(0.1)
    assert step_of(second) == pytest.approx(0.0125)


def test_a_trainer_without_one_keeps_nothing_of_it() -> None:
    plain = Trainer(nn.Linear(3, 1), OptimizerSettings(steps=3), seed=0)
    assert "judged" not in plain.state()
