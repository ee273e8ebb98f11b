"""Reconstruction beside the losses of fine-tuning: its formula, its gradient and its rate."""

import numpy as np
import pytest
import tiny_models
import torch

from pmam.models.detector import DetectorModel
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.reconstruction import reconstruction_loss
from pmam.objectives.settings import FinetuneLossSettings
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import optimizer_groups


def batch() -> LabelledBatch:
    random = torch.Generator().manual_seed(0)
    encoder = tiny_models.backbone().encoder
    inputs = torch.randn(2, 40, encoder.calibration.width, generator=random)
    frames = encoder.pooled_inputs(inputs).shape[1]
    padding = torch.zeros(2, frames, dtype=torch.bool)
    padding[1, frames - 3 :] = True
    return LabelledBatch(
        inputs=inputs,
        padding=padding,
        events=torch.zeros(2, frames, 2),
        tags=torch.zeros(2, 2),
        has_events=torch.tensor([True, False]),
        has_tags=torch.tensor([False, True]),
    )


def module(weight: float) -> Finetuning:
    torch.manual_seed(0)
    settings = FinetuneLossSettings(consistency_weight=0.0, reconstruction_weight=weight)
    return Finetuning(DetectorModel(tiny_models.backbone(), ("a", "b")), settings).eval()


def test_the_loss_is_the_mean_square_over_frames_that_hold_audio() -> None:
    told, examples = module(0.25), batch()
    loss, logs = told(examples, 0, torch.Generator())
    backbone, head = told.student.backbone, told.reconstruction
    assert head is not None
    output = head(backbone(examples.inputs, examples.padding)).detach().numpy().astype(float)
    inputs = backbone.encoder.pooled_inputs(examples.inputs).numpy().astype(float)
    each = [
        np.mean((output[clip, frame] - inputs[clip, frame]) ** 2)
        for clip, frame in np.argwhere(~examples.padding.numpy())
    ]
    assert logs["reconstruction"].item() == pytest.approx(np.mean(each), rel=1e-5)
    told.settings = FinetuneLossSettings(consistency_weight=0.0)
    told.reconstruction = None
    alone = told(examples, 0, torch.Generator())[0]
    assert loss.item() == pytest.approx(alone.item() + 0.25 * np.mean(each), rel=1e-5)


def test_padded_frames_count_for_nothing() -> None:
    output, inputs = torch.rand(2, 2, 5, 3, generator=torch.Generator().manual_seed(0))
    padding = torch.zeros(2, 5, dtype=torch.bool)
    padding[1, 2:] = True
    total = (~padding).sum()
    before = reconstruction_loss(output, inputs, padding, total)
    output[1, 2:] += 100.0
    assert torch.equal(reconstruction_loss(output, inputs, padding, total), before)


def test_without_a_weight_there_is_no_head() -> None:
    told = module(0.0)
    assert told.reconstruction is None
    assert "reconstruction" not in told(batch(), 0, torch.Generator())[1]


def test_its_head_learns_as_heads_do_and_the_body_learns_from_it() -> None:
    told = module(1.0)
    settings = OptimizerSettings(body_lr=1e-4, head_lr=1e-2)
    groups = {group["name"]: group for group in optimizer_groups(told, settings)}
    assert told.reconstruction is not None
    mine = {id(parameter) for parameter in told.reconstruction.parameters()}
    assert mine <= {id(parameter) for parameter in groups["head"]["params"]}
    examples = batch()
    examples.has_events[:] = examples.has_tags[:] = False
    told(examples, 0, torch.Generator())[0].backward()
    gradient = told.student.backbone.projector.weight.grad
    assert gradient is not None and bool(gradient.abs().sum() > 0)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_that_are_none(weight: float) -> None:
    with pytest.raises(ValueError, match=r"losses\.reconstruction_weight"):
        FinetuneLossSettings(reconstruction_weight=weight)
