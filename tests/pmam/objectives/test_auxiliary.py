"""Prototypes as a second task of fine-tuning: its loss, its parts, its rate, and what it moves."""

import math
from dataclasses import replace
from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor

from pmam.models.checkpoint import pack_detector
from pmam.models.detector import DetectorModel
from pmam.objectives.auxiliary import AuxiliaryTask
from pmam.objectives.masked_prediction import PretextBatch
from pmam.objectives.masking import apply_mask, block_mask
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch, MeanTeacherBatch
from pmam.objectives.settings import AuxiliarySettings, FinetuneLossSettings, MaskSettings
from pmam.training.settings import GroupRates, OptimizerSettings
from pmam.training.trainer import Trainer, optimizer_groups

FRAMES, K, WIDTH, CLIPS = 20, 3, 5, 4
HELD = torch.tensor([FRAMES, 15, FRAMES, 9])
# A random frame comes from the same part of a batch: with tokens alone, parts change no loss.
MASK = MaskSettings(rate=0.5, block_s=0.08, token_share=1.0, random_share=0.0)
SETTINGS = AuxiliarySettings(weight=0.5, mask=MASK, temperature=0.5, head_lr=2e-3)
ALONE = FinetuneLossSettings(consistency_weight=0.0)


def unlabelled(clips: int = CLIPS) -> PretextBatch:
    generator = torch.Generator().manual_seed(5)
    return PretextBatch(
        inputs=torch.randn(clips, 4 * FRAMES, 64, generator=generator),
        posteriors=torch.rand(clips, FRAMES, K, generator=generator),
        padding=torch.arange(FRAMES)[None] >= HELD[:clips, None],
    )


def labelled() -> LabelledBatch:
    generator = torch.Generator().manual_seed(6)
    return LabelledBatch(
        inputs=torch.randn(2, 4 * FRAMES, 64, generator=generator),
        padding=torch.zeros(2, FRAMES, dtype=torch.bool),
        events=(torch.rand(2, FRAMES, 2, generator=generator) > 0.5).float(),
        tags=torch.zeros(2, 2),
        has_events=torch.tensor([True, True]),
        has_tags=torch.tensor([False, False]),
    )


def finetuning(settings: AuxiliarySettings = SETTINGS, losses: Any = ALONE) -> Finetuning:
    torch.manual_seed(3)
    student = DetectorModel(tiny_models.backbone(), ("a", "b"))
    means = torch.randn(K, WIDTH)
    task = AuxiliaryTask(tiny_models.CONTEXT.width, means, settings)
    return Finetuning(student, losses, auxiliary=task).eval()


def prepared(module: Finetuning, examples: PretextBatch | None = None) -> MeanTeacherBatch:
    examples = unlabelled() if examples is None else examples
    return module.prepare(labelled(), 0, torch.Generator().manual_seed(1), examples)


def expected_loss(module: Finetuning, batch: MeanTeacherBatch, shown: bool = False) -> Tensor:
    """The mean over masked frames (or all that are held) by the formula, frame by frame."""
    masked, task = batch.auxiliary, module.auxiliary
    assert masked is not None and task is not None
    backbone, mask = module.student.backbone, task.settings.mask
    hidden = block_mask(masked.draws.block_noise, FRAMES, masked.block_frames, mask.rate)
    projected = backbone.embed(masked.examples.inputs)
    filled = apply_mask(projected, hidden, task.mask_token, masked.draws, mask)
    said = task.head(backbone.context(filled, masked.examples.padding))
    cosine = torch.cosine_similarity(said[:, :, None], task.means[None, None], dim=-1)
    z = (2 * torch.where(cosine > 0, cosine, 0.2 * cosine) - 1) / task.settings.temperature
    p, y = torch.sigmoid(z), masked.examples.posteriors
    losses = -(y * p.log() + (1 - y) * (1 - p).log()).mean(dim=-1)
    held = ~masked.examples.padding
    return losses[held if shown else hidden & held].mean()


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_fine_tuning_adds_the_weighted_loss(weight: float) -> None:
    module = finetuning(replace(SETTINGS, weight=weight))
    batch = prepared(module)
    loss, logs = module.partial_loss(batch, module.totals(batch))
    without = replace(batch, auxiliary=None)
    plain, _ = module.partial_loss(without, module.totals(without))
    told = expected_loss(module, batch)
    assert float(logs["prototypes"]) == pytest.approx(float(told.detach()), rel=1e-4)
    assert float((loss - plain).detach()) == pytest.approx(weight * float(told.detach()), rel=1e-3)


def test_without_masks_all_frames_count() -> None:
    mask = MaskSettings(rate=0.0, block_s=0.08)
    module = finetuning(replace(SETTINGS, mask=mask))
    batch = prepared(module)
    _, logs = module.partial_loss(batch, module.totals(batch))
    told = expected_loss(module, batch, shown=True).detach()
    assert float(logs["prototypes"]) == pytest.approx(float(told), rel=1e-4)


@pytest.mark.parametrize("name", ["focal", "softmax_cross_entropy"])
def test_other_objectives_are_those_of_pretraining(name: str) -> None:
    from pmam.objectives.losses.registry import PRETEXTS

    module = finetuning(replace(SETTINGS, objective=name))
    batch, task = prepared(module), module.auxiliary
    assert batch.auxiliary is not None and task is not None
    masked, backbone = batch.auxiliary, module.student.backbone
    hidden = block_mask(masked.draws.block_noise, FRAMES, masked.block_frames, MASK.rate)
    projected = backbone.embed(masked.examples.inputs)
    filled = torch.where(hidden[..., None], task.mask_token, projected)
    said = task.head(backbone.context(filled, masked.examples.padding))
    losses = PRETEXTS[name](said, task.means, masked.examples.posteriors, SETTINGS.temperature)
    expected = losses[hidden & ~masked.examples.padding].mean().detach()
    _, logs = module.partial_loss(batch, module.totals(batch))
    assert float(logs["prototypes"]) == pytest.approx(float(expected), rel=1e-4)


def test_parts_of_a_batch_add_up() -> None:
    module = finetuning()
    batch = prepared(module)
    totals = module.totals(batch)
    whole, logs = module.partial_loss(batch, totals)
    found = [module.partial_loss(part, totals) for part in batch.split(2)]
    assert sum(loss.item() for loss, _ in found) == pytest.approx(whole.item(), rel=1e-4)
    told = sum(float(part["prototypes"]) for _, part in found)
    assert told == pytest.approx(float(logs["prototypes"]), rel=1e-4)


def test_a_batch_without_unlabelled_clips_pays_nothing() -> None:
    module = finetuning()
    batch = module.prepare(labelled(), 0, torch.Generator().manual_seed(1))
    loss, logs = module.partial_loss(batch, module.totals(batch))
    assert float(logs["prototypes"]) == 0
    loss.backward()
    assert all(p.grad is None for p in module.auxiliary.parameters())  # type: ignore[union-attr]


def test_it_moves_the_backbone_and_its_own_head_but_no_classifier() -> None:
    module = finetuning()  # without dropout
    batch = prepared(module)

    def gradients(of: MeanTeacherBatch) -> dict[str, Tensor]:
        module.zero_grad()
        module.partial_loss(of, module.totals(of))[0].backward()
        return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}

    both, labels = gradients(batch), gradients(replace(batch, auxiliary=None))
    own = {name for name in both if name not in labels}
    assert own == {"auxiliary.mask_token", *(n for n in both if n.startswith("auxiliary.head."))}
    head = "student.classifier.weight"
    torch.testing.assert_close(both[head], labels[head])
    name = "student.backbone.projector.weight"
    assert not torch.allclose(both[name], labels[name])


def rates(module: Finetuning, settings: OptimizerSettings) -> dict[str, tuple[float, int]]:
    return {
        str(group["name"]): (group["lr"], sum(p.numel() for p in group["params"]))
        for group in optimizer_groups(module, settings)
        if group["params"]
    }


GROUPS = GroupRates(passt_lr=0.0, cnn_lr=1e-4, decoder_lr=3e-4, head_lr=1e-2)


@pytest.mark.parametrize("groups", [GroupRates(), GROUPS])
def test_its_head_has_a_rate_of_its_own(groups: GroupRates) -> None:
    module, settings = finetuning(), OptimizerSettings(groups=groups)
    found = rates(module, settings)
    task = module.auxiliary
    assert task is not None
    assert found.pop("auxiliary") == (2e-3, sum(p.numel() for p in task.parameters()))
    # All other groups are those of fine-tuning without it.
    assert found == rates(Finetuning(module.student, ALONE), settings)
    trainer = Trainer(module, settings, seed=0)
    assert len({id(p) for p in trainer.parameters}) == len(trainer.parameters)
    trained = [p for p in module.parameters() if p.requires_grad]
    assert len(trained) == len(trainer.parameters)


def test_frozen_body_leaves_its_head_to_train() -> None:
    module = finetuning(losses=replace(ALONE, trained="heads"))
    names = {name for name, p in module.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in names} == {"auxiliary", "student"}
    assert not any("backbone" in name for name in names)


def test_a_detector_does_not_carry_it() -> None:
    module = finetuning()
    plain = Finetuning(module.student, ALONE)
    assert pack_detector(module.student).fingerprint == pack_detector(plain.student).fingerprint
    assert b"auxiliary" not in pack_detector(module.student).tensors


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"weight": -1.0}, "auxiliary weight -1"),
        ({"weight": math.nan}, "auxiliary weight nan"),
        ({"head_lr": -1e-3}, "head_lr -0.001"),
        ({"objective": "bce"}, "objective 'bce': expected one of"),
        ({"temperature": 0.0}, "auxiliary.temperature 0.0: expected a number above 0"),
        ({"temperature": math.inf}, "auxiliary.temperature inf"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AuxiliarySettings(**settings)
