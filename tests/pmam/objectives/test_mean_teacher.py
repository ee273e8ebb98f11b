"""The losses of student and teacher, term by term, and the two stages of training."""

from dataclasses import replace
from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor, nn

from pmam.augment.settings import AugmentSettings
from pmam.models.detector import Detection, DetectorModel
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch, consistency
from pmam.objectives.settings import FinetuneLossSettings
from pmam.training.schedules import RAMPS

FRAMES = 10


def batch(seed: int = 0) -> LabelledBatch:
    """A strong, a weak and an unlabelled clip; the first is padded."""
    generator = torch.Generator().manual_seed(seed)
    padding = torch.zeros(3, FRAMES, dtype=torch.bool)
    padding[0, 7:] = True
    return LabelledBatch(
        inputs=torch.randn(3, 4 * FRAMES, 64, generator=generator),
        padding=padding,
        events=(torch.rand(3, FRAMES, 2, generator=generator) > 0.5).float(),
        tags=(torch.rand(3, 2, generator=generator) > 0.5).float(),
        has_events=torch.tensor([True, False, False]),
        has_tags=torch.tensor([False, True, False]),
    )


class Branched(DetectorModel):
    """A detector whose clip branch says what its clip output says, sharper."""

    def forward(self, inputs: Tensor, padding: Tensor | None = None) -> Detection:
        said = super().forward(inputs, padding)
        return replace(said, branch=said.clips**2)


def run(
    settings: FinetuneLossSettings, kind: type[DetectorModel] = DetectorModel, **more: Any
) -> Finetuning:
    module = Finetuning(kind(tiny_models.backbone(), ("a", "b")), settings, **more).eval()
    with torch.no_grad():
        module.teacher.classifier.bias += 1.0
    return module


def nats(p: Tensor, y: Tensor) -> Tensor:
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@pytest.mark.parametrize("ramp", RAMPS)
@pytest.mark.parametrize("kind", [DetectorModel, Branched])
def test_the_loss_is_the_sum_of_its_terms(kind: type[DetectorModel], ramp: Any) -> None:
    settings = FinetuneLossSettings(consistency_weight=40.0, consistency_ramp=ramp)
    module, examples = run(settings, kind), batch()
    loss, logs = module(examples, 30, torch.Generator())
    said = module.student(examples.inputs, examples.padding)
    taught = module.teacher(examples.inputs, examples.padding)
    held = ~examples.padding
    expected = nats(said.frames[0, :7], examples.events[0, :7])
    assert logs["strong"].item() == pytest.approx(expected.item(), rel=1e-5)
    expected = expected + 0.5 * nats(said.clips[1], examples.tags[1])
    distance = (said.frames - taught.frames)[held].square().mean()
    assert logs["consistency"].item() == pytest.approx(distance.item(), rel=1e-5)
    distance = distance + 0.5 * (said.clips - taught.clips).square().mean()
    if kind is Branched:
        expected = expected + 2 * nats(said.branch[1], examples.tags[1])
        distance = distance + 2 * (said.branch - taught.branch).square().mean()
    expected = expected + 40 * RAMPS[ramp](30, 100) * distance
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_clips_may_follow_the_branch_as_in_the_reference() -> None:
    ours = FinetuneLossSettings()
    published = FinetuneLossSettings(consistency_clips_from="branch")
    frames, clips = torch.rand(2, 4, 3), torch.rand(2, 3)
    said = Detection(frames=frames, clips=clips, branch=clips)
    taught = Detection(frames=frames, clips=clips + 0.1, branch=clips - 0.2)
    padding = torch.zeros(2, 4, dtype=torch.bool)
    totals = {"frames": torch.tensor(8), "clips": torch.tensor(2)}
    loss, _ = consistency(said, taught, padding, ours, totals)
    assert loss.item() == pytest.approx(0.5 * 0.1**2 + 2 * 0.2**2, rel=1e-4)
    loss, _ = consistency(said, taught, padding, published, totals)
    assert loss.item() == pytest.approx(2.5 * 0.2**2, rel=1e-4)


def test_heads_first_then_everything() -> None:
    def trained(settings: FinetuneLossSettings) -> set[str]:
        module = run(settings).train()
        before = {name: value.clone() for name, value in module.student.state_dict().items()}
        optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
        module(batch(), 0, torch.Generator().manual_seed(0))[0].backward()
        optimizer.step()
        after = module.student.state_dict()
        return {name for name in before if not torch.equal(before[name], after[name])}

    # Not even the running statistics of a frozen backbone move.
    assert trained(FinetuneLossSettings(trained="heads")) == {
        "classifier.weight",
        "classifier.bias",
    }
    everything = trained(FinetuneLossSettings(trained="all"))
    assert "backbone.projector.weight" in everything
    assert any("running_mean" in name for name in everything)


def test_student_and_teacher_hear_different_versions() -> None:
    settings = AugmentSettings(noise_snr_db=(0.0, 0.0))
    heard: dict[str, Tensor] = {}

    def listen(name: str) -> Any:
        def hook(module: nn.Module, given: Any) -> None:
            heard[name] = given[0]

        return hook

    module = run(FinetuneLossSettings(), augmentation=settings)
    module.student.register_forward_pre_hook(listen("student"))
    module.teacher.register_forward_pre_hook(listen("teacher"))
    module(batch(), 0, torch.Generator().manual_seed(0))
    assert not torch.equal(heard["student"], heard["teacher"])
    assert not torch.equal(heard["student"], batch().inputs)


def test_clips_without_labels_are_not_mixed() -> None:
    heard = []
    settings = AugmentSettings(mixup_share=1.0, mixup_beta=(1.0, 1.0))
    module = run(FinetuneLossSettings(), augmentation=settings)
    module.student.register_forward_pre_hook(lambda module, given: heard.append(given[0]))
    two = batch()
    six = LabelledBatch(
        **{name: torch.cat([value, value.flip(-1)]) for name, value in vars(two).items()}
    )
    six = replace(six, has_events=two.has_events.repeat(2), has_tags=two.has_tags.repeat(2))
    for seed in range(4):
        module(six, 0, torch.Generator().manual_seed(seed))
    assert all(torch.equal(inputs[[2, 5]], six.inputs[[2, 5]]) for inputs in heard)
    assert not all(torch.equal(inputs[[0, 3]], six.inputs[[0, 3]]) for inputs in heard)
