"""Settings that fit no model, or not this encoder: refused before anything is trained."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.registry import ENCODERS, build_encoder
from pmam.encoders.settings import EncoderSettings, LoraSettings, SlidingSettings
from pmam.models.backbone import Backbone
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, DetectorSettings, ModelSettings
from pmam.objectives.losses.registry import PRETEXTS
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning
from pmam.objectives.settings import FinetuneLossSettings, MaskSettings, PretextSettings
from pmam.training.errors import TrainingError
from pmam.training.settings import GroupRates, OptimizerSettings
from pmam.training.trainer import Trainer

FRAMES = 50
CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16, dropout=0.0)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """PaSST of three blocks that takes 55 frames."""
    size = PaSSTSettings(width=24, depth=3, heads=2, columns=4)
    monkeypatch.setattr("pmam.encoders.passt.encoder.CLIP_HEADS", 2)
    monkeypatch.setitem(ENCODERS, "passt", lambda s: PaSSTEncoder(s, size))


def backbone(encoder: str = "passt") -> Backbone:
    layers = {"transformer_layer": 2} if encoder == "passt" else {}
    settings = EncoderSettings(name=encoder, **layers)
    return Backbone(ModelSettings(encoder=settings, context=CONTEXT))


def pretraining(encoder: str = "passt", **settings: Any) -> Pretraining:
    model = MaskedAudioModel(backbone(encoder), prototype_width=5, prototypes=3)
    return Pretraining(model, torch.randn(3, 5), PretextSettings(**settings)).train()


@pytest.mark.parametrize("objective", PRETEXTS)
def test_broken_audio_stops_pretraining_with_a_clip_branch(objective: str) -> None:
    """As a loss that is no number, and not as torch's own complaint of a probability."""
    module = pretraining(objective=objective)
    batch = PretextBatch(
        inputs=torch.randn(2, FRAMES, 128),
        posteriors=torch.rand(2, FRAMES, 3),
        padding=torch.zeros(2, FRAMES, dtype=torch.bool),
    )
    batch.inputs[1] = math.nan
    trainer = Trainer(module, OptimizerSettings(steps=3), seed=0)
    with pytest.raises(TrainingError, match="step 0: loss nan"):
        trainer.take_step(lambda _, generator: module(batch, generator))


@pytest.mark.parametrize(
    ("mask", "length_s", "said"),
    [
        (MaskSettings(block_s=0.03), 1.0, "shorter than a frame of the encoder, 0.04 s"),
        # One block, and the rate rounds up to it.
        (MaskSettings(block_s=2.0), 1.0, "1 of the 1 blocks in 1 s are masked; expected some and"),
        (MaskSettings(block_s=0.4), 0.8, "2 of the 2 blocks in 0.8 s are masked"),
        # Only whole blocks count, and there are none: no frame would ever pay.
        (MaskSettings(block_s=2.0, one_more_block=True), 1.0, "0 of the 0 blocks in 1 s"),
    ],
)
def test_masks_that_do_not_fit_the_examples(mask: MaskSettings, length_s: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        mask.check(length_s, 0.04)


@pytest.mark.parametrize(
    "mask",
    [
        MaskSettings(block_s=0.04),
        MaskSettings(rate=1.0, block_s=2.0),
        MaskSettings(rate=0.0, block_s=2.0),
        MaskSettings(rate=0.5, block_s=0.4, one_more_block=True),
    ],
)
def test_masks_that_fit(mask: MaskSettings) -> None:
    mask.check(1.2, 0.04)


def test_changes_of_blocks_that_are_not_there() -> None:
    with pytest.raises(ValueError, match=r"lora\.first_block 3: .* has the blocks 0 to 2"):
        pretraining(lora=LoraSettings(rank=2, first_block=3))
    module = pretraining(lora=LoraSettings(rank=2, first_block=2))
    assert any(p.requires_grad for n, p in module.named_parameters() if "lora" in n)
    with pytest.raises(ValueError, match="encoder cnn: no transformer to change by LoRA"):
        pretraining("cnn", lora=LoraSettings(rank=2))


def test_windows_that_are_longer_than_the_encoder_takes() -> None:
    DetectorModel(backbone(), ("a",), DetectorSettings(sliding=SlidingSettings(frames=55)))
    settings = DetectorSettings(teacher_sliding=SlidingSettings(frames=56))
    with pytest.raises(ValueError, match=r"sliding\.frames 56: encoder passt takes at most 55"):
        DetectorModel(backbone(), ("a",), settings)
    with pytest.raises(ValueError, match="encoder cnn: slides no windows of its own"):
        DetectorModel(backbone("cnn"), ("a",), settings)


def test_a_layer_of_a_transformer_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="transformer_layer 3: encoder cnn has no transformer"):
        build_encoder(EncoderSettings(name="cnn", transformer_layer=3))
    with pytest.raises(ValueError, match="layer 4: expected a block from 1 to 3"):
        build_encoder(EncoderSettings(name="passt", transformer_layer=4))


def test_nothing_to_train() -> None:
    optimizer = OptimizerSettings(groups=GroupRates(passt_lr=1e-3))
    with pytest.raises(ValueError, match=r"nothing to train: GroupRates\(passt_lr=0\.001"):
        Trainer(pretraining("cnn"), optimizer, seed=0)
    student = DetectorModel(backbone(), ("a",))
    heads = Finetuning(student, FinetuneLossSettings(trained="heads"))
    optimizer = OptimizerSettings(groups=GroupRates(decoder_lr=1e-3))
    with pytest.raises(ValueError, match="nothing to train"):
        Trainer(heads, optimizer, seed=0)


def test_rates_of_groups_that_the_model_does_not_have_are_told() -> None:
    groups = GroupRates(passt_lr=1e-3, cnn_lr=1e-3, head_lr=1e-3)
    assert Trainer(pretraining(), OptimizerSettings(groups=groups), seed=0).idle == ("cnn",)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PretextSettings(temperature=0.0),
        lambda: MaskSettings(block_s=0.0),
        lambda: MaskSettings(block_s=math.nan),
        lambda: LoraSettings(rank=2, alpha=math.inf),
        lambda: GroupRates(passt_lr=-1e-3),
        lambda: GroupRates(merge_weight=True),
        lambda: OptimizerSettings(body_lr=-1.0),
        lambda: OptimizerSettings(head_lr=math.nan),
        lambda: OptimizerSettings(clip_norm=0.0),
        lambda: OptimizerSettings(warm_up_steps=-1),
        lambda: FinetuneLossSettings(weak_weight=-1.0),
        lambda: FinetuneLossSettings(consistency_ramp_steps=-1),
        lambda: ContextSettings(width=0),
        lambda: ContextSettings(layers=0),
        lambda: ContextSettings(dropout=1.5),
    ],
)
def test_numbers_that_mean_nothing(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()
