"""The training loop: resumed is undisturbed, bad losses stop it, schedules are the reference's."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor, nn

from pmam.augment.settings import AugmentSettings
from pmam.models.backbone import Backbone
from pmam.models.settings import ContextSettings
from pmam.objectives.following import follow
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.errors import TrainingError
from pmam.training.schedules import (
    ema_decay,
)
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import StepFunction, Trainer, Workers, step_seed

CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16, dropout=0.3)
SETTINGS = OptimizerSettings(steps=6, warm_up_steps=2)
FRAMES = 20


def inputs(step: int, clips: int = 4) -> Tensor:
    return torch.randn(clips, 4 * FRAMES, 64, generator=torch.Generator().manual_seed(step))


def padding(clips: int = 4) -> Tensor:
    return torch.arange(FRAMES)[None] >= torch.tensor([FRAMES, 15, FRAMES, 9])[:clips, None]


class FinetuneRun:
    """Fine-tuning with dropout and augmentations, and the teacher that follows."""

    def __init__(self) -> None:
        detector = tiny_models.detector()
        detector.backbone = tiny_models.backbone(CONTEXT)
        losses = FinetuneLossSettings(consistency_ramp_steps=4)
        augmentation = AugmentSettings(
            mixup_share=0.5,
            frame_shift_s=0.1,
            filter_db=(-6.0, 6.0),
            distortion=0.02,
            noise_snr_db=(15.0, 30.0),
        )
        self.module = Finetuning(detector, losses, augmentation).train()

    def batch(self, step: int) -> LabelledBatch:
        generator = torch.Generator().manual_seed(100 + step)
        return LabelledBatch(
            inputs=inputs(step),
            padding=padding(),
            events=(torch.rand(4, FRAMES, 2, generator=generator) > 0.5).float(),
            tags=(torch.rand(4, 2, generator=generator) > 0.5).float(),
            has_events=torch.tensor([True, True, False, False]),
            has_tags=torch.tensor([False, False, True, False]),
        )

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        result: tuple[Tensor, dict[str, Tensor]] = self.module(self.batch(step), step, generator)
        return result

    def after(self, step: int) -> None:
        follow(self.module.teacher, self.module.student, ema_decay(step, 0.99))


class PretrainRun:
    """Pretraining with dropout and masks."""

    def __init__(self) -> None:
        model = tiny_models.masked()
        model.backbone = tiny_models.backbone(CONTEXT)
        means = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
        mask = MaskSettings(rate=0.5, block_s=0.08)
        augment = AugmentSettings(mixup_share=0.5, frame_shift_s=0.1, distortion=0.02)
        settings = PretextSettings(mask=mask, augment=augment)
        self.module = Pretraining(model, means, settings).train()

    def loss(self, step: int, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        posteriors = torch.rand(4, FRAMES, 3, generator=torch.Generator().manual_seed(50 + step))
        batch = PretextBatch(inputs=inputs(step), posteriors=posteriors, padding=padding())
        result: tuple[Tensor, dict[str, Tensor]] = self.module(batch, generator)
        return result

    def after(self, step: int) -> None:
        """Nothing follows."""


def advance(run: FinetuneRun | PretrainRun, trainer: Trainer, until: int) -> list[dict]:
    logs = []
    while trainer.step < until:
        logs.append(trainer.take_step(run.loss))
        run.after(trainer.step - 1)
    return logs


@pytest.mark.parametrize("kind", [FinetuneRun, PretrainRun])
def test_resumed_is_bitwise_undisturbed(kind: type[FinetuneRun] | type[PretrainRun]) -> None:
    run = kind()
    trainer = Trainer(run.module, SETTINGS, seed=7)
    logs = advance(run, trainer, 6)

    first = kind()
    before = Trainer(first.module, SETTINGS, seed=7)
    head = advance(first, before, 3)
    state = {name: value.clone() for name, value in before.state().items()}
    torch.rand(1000)  # what else the process draws does not count
    second = kind()
    with torch.no_grad():  # nor how the new module was initialised
        for parameter in second.module.parameters():
            parameter.add_(1.0)
    after = Trainer(second.module, SETTINGS, seed=7)
    after.restore(state)
    tail = advance(second, after, 6)

    assert head + tail == logs
    undisturbed, resumed = trainer.state(), after.state()
    assert undisturbed.keys() == resumed.keys()
    assert all(torch.equal(undisturbed[name], resumed[name]) for name in undisturbed)


@pytest.mark.parametrize("kind", [FinetuneRun, PretrainRun])
def test_a_seed_and_a_rank_draw_their_own_numbers(
    kind: type[FinetuneRun] | type[PretrainRun],
) -> None:
    def losses(seed: int, rank: int) -> list[float]:
        run = kind()
        # What adds up gives each its own loss back.
        workers = Workers(rank=rank, world_size=2)
        logs = advance(run, Trainer(run.module, SETTINGS, seed, workers), 2)
        return [values["loss"] for values in logs]

    assert losses(1, 0) == losses(1, 0)
    assert losses(1, 0) != losses(2, 0)
    assert losses(1, 0) != losses(1, 1)
    seeds = {step_seed(s, step, r) for s in range(5) for step in range(20) for r in range(3)}
    assert len(seeds) == 300


def constant_gradient(module: nn.Linear, size: float) -> StepFunction:
    """A loss whose gradient is `size` for each of the weights, and 0 for the bias."""
    return lambda step, generator: (size * module.weight.sum() + 0 * module.bias.sum(), {})


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("parts", [1, 2])
def test_the_mean_of_the_workers_gradients_is_that_of_the_whole_batch(
    count: int, parts: int
) -> None:
    """Data-parallel training averages gradients over workers; a loss is a sum over the batch."""
    x, y = torch.randn(12, 3), torch.randn(12, 1)

    def gradient(rank: int, workers: int) -> Tensor:
        torch.manual_seed(4)
        module = nn.Linear(3, 1)
        settings = OptimizerSettings(steps=6, warm_up_steps=0, clip_norm=1e9)
        trainer = Trainer(module, settings, 0, Workers(rank=rank, world_size=workers))

        def losses(
            step: int, generator: torch.Generator
        ) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
            for part in range(parts):
                mine = slice(rank + workers * part, None, workers * parts)
                yield (module(x[mine]) - y[mine]).square().sum() / len(x), {}

        trainer.take_parts(losses)
        assert module.weight.grad is not None
        return module.weight.grad

    torch.manual_seed(4)
    module = nn.Linear(3, 1)
    (module(x) - y).square().mean().backward()
    mean = torch.stack([gradient(rank, count) for rank in range(count)]).mean(dim=0)
    torch.testing.assert_close(mean, module.weight.grad)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_no_number_changes_nothing(bad: float) -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    trainer = Trainer(module, SETTINGS, seed=0)
    trainer.take_step(constant_gradient(module, 1.0))
    before = {name: value.clone() for name, value in trainer.state().items()}
    with pytest.raises(
        TrainingError, match=r"step 1: loss (nan|-?inf), .*lower the learning rates"
    ):
        trainer.take_step(constant_gradient(module, bad))
    assert trainer.step == 1
    after = trainer.state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    trainer.take_step(constant_gradient(module, 1.0))
    assert trainer.step == 2


def test_a_gradient_that_is_no_number_is_found_too() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    trainer = Trainer(module, SETTINGS, seed=0)
    with pytest.raises(TrainingError, match="gradient norm"):
        trainer.take_step(lambda step, generator: (module.weight.abs().sqrt().sum(), {}))
    assert module.weight.item() == 0


@pytest.mark.parametrize(("size", "length"), [(100.0, 0.5), (0.01, 0.01 * math.sqrt(6))])
def test_long_gradients_are_shortened(size: float, length: float) -> None:
    module = nn.Linear(3, 2)
    trainer = Trainer(module, replace(SETTINGS, clip_norm=0.5), seed=0)
    trainer.take_step(constant_gradient(module, size))
    # AdamW's first moment after one step: (1 - beta1) times the gradient that it was given.
    moment = trainer.optimizer.state[module.weight]["exp_avg"] / 0.1
    assert float(moment.norm()) == pytest.approx(length, rel=1e-4)
    assert torch.allclose(moment, moment[0, 0].expand(2, 3))


class TwoParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
        self.model["frozen"] = nn.Linear(2, 2).requires_grad_(False)


def test_body_and_head_have_their_own_rates() -> None:
    module = TwoParts()
    settings = OptimizerSettings(steps=10, warm_up_steps=4, body_lr=1e-3, head_lr=1e-1)
    trainer = Trainer(module, settings, seed=0)
    body, head = (group["params"] for group in trainer.optimizer.param_groups)
    assert {id(p) for p in body} == {id(p) for p in module.model["backbone"].parameters()}
    assert {id(p) for p in head} == {id(p) for p in module.model["head"].parameters()}
    scales = []
    for _ in range(10):
        values = trainer.take_step(
            lambda step, generator: (sum(p.sum() for p in module.parameters()), {})
        )
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        assert rates == [values["lr/body"], values["lr/head"]]
        assert values["lr/head"] == pytest.approx(100 * values["lr/body"])
        scales.append(values["lr/body"] / 1e-3)
    assert scales[0] == pytest.approx(0.1)
    assert scales[-1] == pytest.approx(math.exp(-3))
    assert max(scales) <= 1


def test_the_teacher_follows_by_the_formula() -> None:
    student, teacher = (Backbone(tiny_models.backbone(seed=s).settings) for s in (1, 2))
    for module, seed in ((student, 3), (teacher, 4)):
        generator = torch.Generator().manual_seed(seed)
        for value in module.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
            else:
                value.fill_(seed)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    follow(teacher, student, 0.9)
    for name, value in teacher.state_dict().items():
        own = student.state_dict()[name]
        if value.is_floating_point():
            expected = 0.9 * before[name].double() + 0.1 * own.double()
            assert torch.allclose(value.double(), expected, atol=1e-6), name
        else:
            assert torch.equal(value, own), name


def test_the_teacher_is_a_plain_mean_at_first() -> None:
    """With the decay 1 - 1 / (step + 2), after n steps: the mean of the start and n students."""
    values = np.random.default_rng(0).normal(size=20)
    teacher, student = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        teacher.weight.fill_(values[0])
        for step, value in enumerate(values[1:]):
            student.weight.fill_(value)
            follow(teacher, student, ema_decay(step, 0.999))
    assert float(teacher.weight) == pytest.approx(values.mean(), abs=1e-6)
    assert ema_decay(10_000, 0.99) == 0.99


def test_the_late_warm_up_of_the_reference_is_a_setting() -> None:
    module = nn.Linear(1, 1)
    for late, expected in ((False, [0.1, 0.325, 0.55]), (True, [1.0, 0.55, 0.775])):
        settings = OptimizerSettings(
            steps=9, head_lr=1.0, warm_up_steps=4, flat_share=1, warm_up_late=late
        )
        trainer = Trainer(module, settings, seed=0)
        scales = [trainer.take_step(constant_gradient(module, 1.0))["lr/head"] for _ in range(3)]
        assert scales == pytest.approx(expected)
