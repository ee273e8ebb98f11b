"""PaSST, the CNN and both together as encoders: lengths, layers, windows, training, checkpoints."""

from collections.abc import Callable, Iterator

import pytest
import torch

from pmam.encoders.base import FrameEncoder
from pmam.encoders.lora import lora_layers
from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.transformer import PaSST, PaSSTSettings
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS, build_encoder
from pmam.encoders.settings import EncoderSettings, LoraSettings, SlidingSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import pack_detector, pack_masked, unpack
from pmam.models.detector import DetectorModel
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.models.start import start_backbone
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.settings import PretextSettings
from pmam.training.parameter_groups import group_of
from pmam.training.settings import PRETRAIN, OptimizerSettings
from pmam.training.trainer import Trainer

SMALL = PaSSTSettings(width=24, depth=3, heads=2)
CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16)
RATE_HZ = 32000


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The encoders in a size that is built in no time."""

    def shrunk(kind: type[PaSSTEncoder]) -> Callable[[EncoderSettings], FrameEncoder]:
        return lambda settings: kind(settings, SMALL)

    monkeypatch.setattr("pmam.encoders.passt.encoder.CLIP_HEADS", 2)
    monkeypatch.setitem(ENCODERS, "passt", shrunk(PaSSTEncoder))
    monkeypatch.setitem(ENCODERS, "passt_cnn", shrunk(PaSSTCNNEncoder))
    yield


def settings(name: str) -> EncoderSettings:
    layer = {} if name == "cnn" else {"transformer_layer": 2}
    return EncoderSettings(name=name, **layer)


def backbone(name: str = "passt_cnn") -> Backbone:
    torch.manual_seed(0)
    return Backbone(ModelSettings(encoder=settings(name), context=CONTEXT)).eval()


def test_layers_without_gradients_are_those_with_them_and_of_each_clip_alone() -> None:
    torch.manual_seed(0)
    passt, clips = PaSST(SMALL).eval(), torch.randn(3, 128, 500)
    with torch.no_grad():
        together = passt.layers(clips, (1, 3))
        alone = [passt.layers(clip, (1, 3)) for clip in clips.split(1)]
        assert [x.shape for x in passt.layers(clips[:0], (1, 3))] == [
            (0, *together[0].shape[1:])
        ] * 2
    for number, layer in enumerate(passt.layers(clips, (1, 3))):
        torch.testing.assert_close(together[number], layer.detach(), rtol=0, atol=1e-5)
        assert torch.equal(together[number], torch.cat([clip[number] for clip in alone]))


@pytest.mark.parametrize("name", ["passt", "cnn", "passt_cnn"])
def test_one_frame_per_frame_of_log_mel(small: None, name: str) -> None:
    encoder = build_encoder(settings(name)).eval()
    for frames in (1, 3, 15, 16, 100, 333, 1000, 1005):
        inputs = torch.randn(1, frames, 128)
        with torch.inference_mode():
            assert encoder(inputs).shape == (1, frames, encoder.width)
    waveform = 0.1 * torch.randn(2, RATE_HZ)
    assert encoder.inputs(waveform).shape == (2, 100, 128)
    assert encoder.hop_s == encoder.input_hop_s == 0.01


def test_what_the_position_table_does_not_cover_is_refused(small: None) -> None:
    encoder = build_encoder(settings("passt_cnn")).eval()
    with pytest.raises(ValueError, match="16 to 1005"):
        encoder(torch.zeros(1, 1006, 128))
    with pytest.raises(ValueError, match="128"):
        encoder(torch.zeros(1, 500, 64))
    with pytest.raises(ValueError, match="layer 4"):
        build_encoder(EncoderSettings(name="passt", transformer_layer=4))
    with pytest.raises(ValueError, match="pca"):
        build_encoder(EncoderSettings(name="passt", pca=4))


def test_parts_are_layers_of_their_own(small: None) -> None:
    model, inputs = backbone(), torch.randn(2, 120, 128)
    with torch.inference_mode():
        whole = model.layer(inputs, "encoder")
        passt, cnn = (model.layer(inputs, part) for part in ("after_interpolate", "cnn"))
        assert torch.equal(torch.cat([passt, cnn], dim=-1), whole)
        assert model.layer_width("after_interpolate") == passt.shape[-1] == 24
        assert model.layer_width("cnn") == cnn.shape[-1] == 384
        assert model.layer(inputs, "context1").shape == (2, 120, 16)
        assert torch.equal(model.embed(inputs), model.embed_with_clip(inputs)[0])
    with pytest.raises(ValueError, match="after_interpolate"):
        model.layer(inputs, "after_interpolation")


def test_positions_begin_anywhere_in_training_alone(small: None) -> None:
    passt = build_encoder(settings("passt"))
    inputs = torch.randn(1, 200, 128)
    with torch.no_grad():
        trained = [passt.train()(inputs) for _ in range(5)]
        scored = [passt.eval()(inputs) for _ in range(2)]
    assert any(not torch.equal(trained[0], other) for other in trained[1:])
    assert torch.equal(*scored)


def test_windows_leave_frames_behind_them_whole(small: None) -> None:
    encoder = build_encoder(settings("passt_cnn")).eval()
    inputs = torch.randn(2, 300, 128)
    sliding = SlidingSettings(frames=128, step=31)
    with torch.inference_mode():
        whole = encoder.encode(inputs).frames
        mixed = encoder.encode(inputs, sliding).frames
        assert torch.equal(
            encoder.encode(inputs[:, :128], sliding).frames, encoder(inputs[:, :128])
        )
    covered = (mixed != whole).any(dim=-1).all(dim=0)
    assert covered[:250].all()
    assert not covered[-4:].any()
    assert torch.equal(mixed[..., 24:], whole[..., 24:])  # the CNN sees the whole
    with pytest.raises(ValueError, match="slides no windows"):
        build_encoder(EncoderSettings(name="cnn")).encode(inputs, sliding)
    with pytest.raises(ValueError, match="at least 16"):
        SlidingSettings(frames=10)


def test_pretraining_by_lora_changes_the_upper_blocks_alone(small: None) -> None:
    model = MaskedAudioModel(backbone(), prototype_width=5, prototypes=4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pretext = PretextSettings(lora=LoraSettings(rank=2, first_block=1))
    pretraining = Pretraining(model, torch.randn(4, 5), pretext).train()
    optimizer = OptimizerSettings(steps=3, groups=PRETRAIN, warm_up_steps=0)
    trainer = Trainer(pretraining, optimizer, seed=0)
    batch = PretextBatch(
        inputs=torch.randn(2, 100, 128),
        posteriors=torch.softmax(torch.randn(2, 100, 4), dim=-1),
        padding=torch.zeros(2, 100, dtype=torch.bool),
    )
    for _ in range(3):
        logs = trainer.take_step(lambda _, generator: pretraining(batch, generator))
    assert {"loss", "clip", "masked"} <= logs.keys()
    assert list(lora_layers(model))
    inputs = batch.inputs
    packed = pack_masked(model.eval())
    again = unpack(packed, "pretrained")
    assert isinstance(again, MaskedAudioModel)
    assert not list(lora_layers(again))
    with torch.inference_mode():
        torch.testing.assert_close(again.backbone(inputs), model.backbone(inputs))
    changed = {n for n, v in again.state_dict().items() if not torch.equal(v, before[n])}
    passt = "backbone.encoder.transformer.passt."
    inside = {name.removeprefix(passt) for name in changed if name.startswith(passt)}
    assert inside
    assert all(name.startswith(("blocks.1.", "blocks.2.", "norm.")) for name in inside)
    assert "backbone.projector.merge_weight" in changed
    # What follows starts from the merged model, and can add LoRA anew.
    onwards = start_backbone(again, CONTEXT, "pretrained")
    onwards.encoder.adapt(LoraSettings(rank=2, first_block=1))


def test_a_detector_has_a_clip_branch_and_comes_back(small: None) -> None:
    detector = DetectorModel(backbone(), ("cat", "dog")).eval()
    inputs = torch.randn(1, 60, 128)
    again = unpack(pack_detector(detector), "detector")
    assert isinstance(again, DetectorModel)
    with torch.inference_mode():
        said, repeated = detector(inputs), again(inputs)
    assert said.branch is not None and repeated.branch is not None
    assert said.branch.shape == (1, 2)
    assert torch.equal(said.frames, repeated.frames)
    assert torch.equal(said.branch, repeated.branch)


def test_encoders_without_a_transformer_refuse_lora() -> None:
    with pytest.raises(ValueError, match=r"lora\.rank 0"):
        build_encoder(EncoderSettings(name="cnn")).adapt(LoraSettings(rank=8))


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("student.backbone.encoder.transformer.passt.blocks.7.attn.qkv.weight", "passt"),
        ("student.backbone.encoder.transformer.passt.blocks.8.attn.qkv.lora_a", "passt_top"),
        ("model.backbone.encoder.transformer.passt.blocks.11.norm1.bias", "passt_top"),
        ("model.backbone.encoder.transformer.passt.column_positions", "passt"),
        ("model.backbone.encoder.transformer.pool.token", "decoder"),
        ("backbone.encoder.transformer.out_norm.bias", "head"),
        ("backbone.encoder.layers.0.weight", "cnn"),
        ("backbone.context.blocks.0.norm1.weight", "decoder"),
        ("backbone.clip_pooling.token", "head"),
        ("student.classifier.weight", "head"),
        ("model.mask_token", "head"),
    ],
)
def test_groups_go_by_name(name: str, group: str) -> None:
    assert group_of(name, PaSSTEncoder.parameter_groups) == group
