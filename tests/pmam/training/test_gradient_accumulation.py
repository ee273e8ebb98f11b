"""Batches in parts: the same losses, gradients and statistics; half precision; compiled blocks."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter

from pmam.augment.settings import AugmentSettings
from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings, LoraSettings
from pmam.models.backbone import Backbone
from pmam.models.context.transformer_xl import relative_shift
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.batch_norm_sync import BatchStatistics
from pmam.training.errors import TrainingError
from pmam.training.precision import Shares, compile_blocks
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import Share, Trainer, Workers

CLIPS, FRAMES = 8, 50  # which fill the position table: nothing is drawn inside the network
SMALL = PaSSTSettings(width=24, depth=3, heads=2, columns=4)
CONTEXT = ContextSettings(width=16, layers=2, heads=2, hidden=16, dropout=0.0)
OPTIMIZER = OptimizerSettings(steps=4, warm_up_steps=0, clip_norm=1e9)
AUGMENT = AugmentSettings(mixup_share=1.0, frame_shift_s=0.1, distortion=0.02)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """PaSST in a size that is built in no time."""
    monkeypatch.setattr("pmam.encoders.passt.encoder.CLIP_HEADS", 2)
    monkeypatch.setitem(ENCODERS, "passt", lambda s: PaSSTEncoder(s, SMALL))
    monkeypatch.setitem(ENCODERS, "passt_cnn", lambda s: PaSSTCNNEncoder(s, SMALL))


def backbone(encoder: str) -> Backbone:
    torch.manual_seed(0)
    settings = EncoderSettings(name=encoder, transformer_layer=2)
    return Backbone(ModelSettings(encoder=settings, context=CONTEXT))


def padding() -> Tensor:
    held = torch.tensor([FRAMES, 31, FRAMES, 12, 7, FRAMES, FRAMES, 44])
    return torch.arange(FRAMES)[None] >= held[:, None]


def pretraining(encoder: str = "passt", lora: int = 0) -> tuple[Pretraining, PretextBatch]:
    model = MaskedAudioModel(backbone(encoder), prototype_width=5, prototypes=3)
    # A random frame is one of the same part: its loss would not be the same.
    mask = MaskSettings(rate=0.5, block_s=0.05, random_share=0.0)
    settings = PretextSettings(mask=mask, augment=AUGMENT, lora=LoraSettings(rank=lora))
    generator = torch.Generator().manual_seed(1)
    batch = PretextBatch(
        inputs=torch.randn(CLIPS, FRAMES, 128, generator=generator),
        posteriors=torch.randn(CLIPS, FRAMES, 3, generator=generator).softmax(dim=-1),
        padding=padding(),
    )
    means = torch.randn(3, 5, generator=generator)
    return Pretraining(model, means, settings).train(), batch


def finetuning(encoder: str = "passt") -> tuple[Finetuning, LabelledBatch]:
    student = DetectorModel(backbone(encoder), ("cat", "dog"))
    module = Finetuning(student, FinetuneLossSettings(consistency_ramp_steps=0), AUGMENT).train()
    with torch.no_grad():
        module.teacher.classifier.bias += 1.0
    generator = torch.Generator().manual_seed(1)
    batch = LabelledBatch(
        inputs=torch.randn(CLIPS, FRAMES, 128, generator=generator),
        padding=padding(),
        events=(torch.rand(CLIPS, FRAMES, 2, generator=generator) > 0.5).float(),
        tags=(torch.rand(CLIPS, 2, generator=generator) > 0.5).float(),
        has_events=torch.tensor([True] * 3 + [False] * 5),
        has_tags=torch.tensor([False] * 3 + [True] * 2 + [False] * 3),
    )
    return module, batch


BUILDERS = {"pretraining": pretraining, "finetuning": finetuning}


def step(kind: str, parts: int, encoder: str = "passt") -> tuple[dict[str, float], nn.Module]:
    """What one update logs, and the module behind it with its gradients."""
    module, batch = BUILDERS[kind](encoder)
    trainer, statistics = Trainer(module, OPTIMIZER, seed=3), BatchStatistics(module)

    def shares(_: int, generator: torch.Generator) -> Iterator[Share]:
        more: Any = (0,) if kind == "finetuning" else ()
        prepared = module.prepare(batch, *more, generator)
        totals = module.totals(prepared)
        for number, part in enumerate(prepared.split(parts)):
            statistics.begin(number, parts)
            yield Shares(module)(part, totals)

    return trainer.take_parts(shares), module


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts_add_up_to_the_batch(kind: str, parts: int) -> None:
    whole, expected = step(kind, 1)
    logs, module = step(kind, parts)
    assert logs == pytest.approx(whole, rel=1e-5, abs=1e-6)
    assert logs["loss"] > 0.1
    gradients = {n: p.grad for n, p in expected.named_parameters() if p.grad is not None}
    assert len(gradients) > 50
    for name, parameter in module.named_parameters():
        if name in gradients:
            assert parameter.grad is not None
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", BUILDERS)
def test_running_statistics_are_those_of_the_batch(kind: str) -> None:
    _, expected = step(kind, 1, "passt_cnn")
    _, module = step(kind, 4, "passt_cnn")
    whole, parts = expected.state_dict(), module.state_dict()
    # Of the first layer alone: later ones see what parts normalised by their own statistics.
    names = [name for name in whole if name.endswith("stages.0.norm.running_mean")]
    assert len(names) == (2 if kind == "finetuning" else 1)
    for name in names:
        torch.testing.assert_close(parts[name], whole[name], rtol=1e-4, atol=1e-6)
        variance = name.replace("mean", "var")
        torch.testing.assert_close(parts[variance], whole[variance], rtol=0.05, atol=1e-6)


def test_workers_go_on_with_the_mean_of_their_statistics() -> None:
    norm = nn.BatchNorm1d(2)
    norm(torch.randn(5, 2) + 3)
    other = torch.cat([torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])])
    before = torch.cat([norm.running_mean, norm.running_var])
    BatchStatistics(norm).average(Workers(world_size=2, add_up=lambda own: own + other))
    after = torch.cat([norm.running_mean, norm.running_var])
    torch.testing.assert_close(after, (before + other) / 2)
    BatchStatistics(norm.eval()).average(Workers(world_size=2, add_up=lambda own: own + other))
    assert torch.equal(torch.cat([norm.running_mean, norm.running_var]), after)


def test_a_part_has_some_of_all_subsets_and_there_are_no_empty_ones() -> None:
    module, batch = finetuning()
    prepared = module.prepare(batch, 0, torch.Generator().manual_seed(0))
    first, second = prepared.split(2)
    assert first.batch.has_events.tolist() == [True, True, False, False]
    assert torch.equal(second.teacher_inputs, prepared.teacher_inputs[1::2])
    with pytest.raises(ValueError, match="accumulate 9: a worker has 8 clips"):
        prepared.split(9)


def test_the_part_whose_loss_is_no_number_is_named() -> None:
    module = nn.Linear(1, 1)
    trainer = Trainer(module, OPTIMIZER, seed=0, workers=Workers(rank=1, world_size=3))

    def shares(_: int, generator: torch.Generator) -> Iterator[Share]:
        for factor in (1.0, math.nan, 1.0):
            yield factor * module.weight.sum() + 0 * module.bias.sum(), {}

    with pytest.raises(TrainingError, match="step 0: loss nan") as failed:
        trainer.take_parts(shares)
    assert failed.value.parts == ((1, 1),)


@pytest.mark.parametrize("kind", BUILDERS)
def test_bfloat16_is_near_and_leaves_weights_and_losses_in_single_precision(kind: str) -> None:
    module, batch = BUILDERS[kind]("passt_cnn")
    module.eval()
    more: Any = (0,) if kind == "finetuning" else ()
    prepared = module.prepare(batch, *more, torch.Generator().manual_seed(0))
    totals = module.totals(prepared)
    seen: list[torch.dtype] = []
    encoder = next(m for m in module.modules() if isinstance(m, PaSSTCNNEncoder))
    encoder.transformer.passt.blocks[0].mlp.fc1.register_forward_hook(
        lambda _, given, out: seen.append(out.dtype)
    )
    exact, _ = Shares(module)(prepared, totals)
    rough, logs = Shares(module, "bfloat16")(prepared, totals)
    assert seen == [torch.float32, torch.bfloat16]
    assert rough.dtype == torch.float32
    assert all(value.dtype == torch.float32 for value in logs.values())
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.02)
    assert float(rough.detach()) != float(exact.detach())
    rough.backward()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert all(g.dtype == torch.float32 and torch.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize(
    ("encoder", "kinds"),
    [
        ("passt", {"pmam.encoders.passt.transformer", "pmam.models.context.transformer_xl"}),
        pytest.param(
            "passt_cnn",
            {
                "pmam.encoders.passt.transformer",
                "pmam.encoders.cnn",
                "pmam.models.context.transformer_xl",
            },
            marks=pytest.mark.slow,
        ),
    ],
)
def test_alike_blocks_are_compiled_once(
    monkeypatch: pytest.MonkeyPatch, encoder: str, kinds: set[str]
) -> None:
    counter = CompileCounter()
    whole = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda part: whole(part, backend=counter))
    module, batch = finetuning(encoder)
    assert {type(part).__module__ for part in compile_blocks(module)} == kinds
    names = list(module.state_dict())
    for step in range(3):
        module(batch, step, torch.Generator().manual_seed(0))[0].backward()
    assert list(module.state_dict()) == names
    # One graph for all blocks of a kind, for the student and for the teacher.
    assert counter.frame_count == 2 * len(kinds)
    before = counter.frame_count
    module(batch, 3, torch.Generator().manual_seed(0))
    assert counter.frame_count == before
    with torch.inference_mode():
        module.student.eval()(batch.inputs, batch.padding)
    assert counter.frame_count > before  # scoring is compiled too, not left out


@pytest.mark.parametrize("frames", [1, 2, 7])
def test_the_compiled_shift_is_the_same(frames: int) -> None:
    scores = torch.randn(3, 2, frames, 2 * frames - 1).transpose(0, 1).requires_grad_()
    compiled = torch.compile(relative_shift, backend="eager", fullgraph=True)
    weights = torch.randn(2, 3, frames, frames)
    found, expected = (shift(scores) for shift in (compiled, relative_shift))
    assert torch.equal(found, expected)
    gradients = [torch.autograd.grad((x * weights).sum(), scores)[0] for x in (found, expected)]
    assert torch.equal(*gradients)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", BUILDERS)
def test_compiled_blocks_do_the_same(kind: str) -> None:
    whole, expected = step(kind, 1)
    module, batch = BUILDERS[kind]("passt")
    names = list(module.state_dict())
    compile_blocks(module)
    assert list(module.state_dict()) == names
    more: Any = (0,) if kind == "finetuning" else ()
    logs = Trainer(module, OPTIMIZER, seed=3).take_step(
        lambda _, generator: module(batch, *more, generator)
    )
    assert logs == pytest.approx(whole, rel=1e-4, abs=1e-5)
    before = dict(expected.named_parameters())
    for name, parameter in module.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, before[name].grad, rtol=1e-2, atol=1e-5)
