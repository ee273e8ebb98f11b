"""M2D as an encoder like the others, in a size that is built in no time."""

from collections.abc import Iterator

import pytest
import torch
from m2d_cases import SMALL, published

from pmam.encoders.m2d.encoder import SIZES, M2DEncoder, encoder_for
from pmam.encoders.m2d.head import M2DTagger
from pmam.encoders.m2d.state_dict_names import FINE_TUNED, encoder_tensors
from pmam.encoders.m2d.transformer import M2D, M2DSettings
from pmam.encoders.registry import ENCODERS, build_encoder
from pmam.encoders.settings import EncoderSettings, LoraSettings
from pmam.errors import InputError
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import CheckpointError, pack_encoder, unpack
from pmam.models.detector import DetectorModel
from pmam.models.importers.detect_format import family_of, import_published
from pmam.models.published import load_published
from pmam.models.settings import ContextSettings, ModelSettings

SMALL_608 = M2DSettings(width=24, depth=3, heads=2, frames=608)
SMALL_40MS = M2DSettings(width=24, depth=3, heads=2, frames=200, patch_frames=4)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sizes = {"m2d": SMALL, "m2d_608": SMALL_608, "m2d_40ms": SMALL_40MS}
    for name, size in sizes.items():
        monkeypatch.setitem(ENCODERS, name, lambda settings, size=size: M2DEncoder(settings, size))
    yield


@pytest.mark.parametrize("name", list(SIZES))
def test_a_frame_for_every_patch_begun(small: None, name: str) -> None:
    encoder = build_encoder(EncoderSettings(name=name)).eval()
    patch = encoder.input_frames_per_frame
    most = encoder.most_input_frames
    assert most is not None
    with torch.inference_mode():
        for frames in (1, patch - 1, patch, patch + 1, most - patch, most - patch + 1, most):
            inputs = torch.randn(2, frames, 80)
            assert encoder(inputs).shape == (2, -(-frames // patch), encoder.width)
        for samples in (100, 159, 160, 161, 16000):
            got = encoder.inputs(0.1 * torch.randn(1, samples))
            assert got.shape == (1, -(-samples // 160), 80)
        with pytest.raises(InputError, match=f"at most {most}"):
            encoder(torch.randn(1, most + 1, 80))
    assert encoder.hop_s == pytest.approx(patch * encoder.input_hop_s)
    assert round(encoder.hop_s * encoder.sample_rate_hz) == patch * 160


def test_silence_after_the_end_and_no_other_clip_change_a_clip(small: None) -> None:
    encoder = build_encoder(EncoderSettings(name="m2d")).eval()
    inputs = torch.randn(3, 100, 80)
    with torch.inference_mode():
        alone = torch.cat([encoder(clip[None]) for clip in inputs])
        torch.testing.assert_close(encoder(inputs), alone, rtol=0, atol=1e-5)
        padded = torch.nn.functional.pad(inputs, (0, 0, 0, 12))
        torch.testing.assert_close(encoder(padded), encoder(inputs))


def test_published_files_come_in_by_their_names(small: None) -> None:
    sizes = {"m2d": SMALL, "m2d_608": SMALL_608, "m2d_40ms": SMALL_40MS}
    for name, size in sizes.items():
        for prefix in ("", FINE_TUNED):
            file = published(size, prefix)
            assert family_of(file, "a file") == "m2d"
            encoder = import_published(file, "a file")
            assert isinstance(encoder, M2DEncoder)
            assert encoder.transformer.settings == size
            if name == "m2d":
                again = unpack(pack_encoder(encoder), "ours")
                state = again.state_dict()
                assert all(torch.equal(v, state[n]) for n, v in encoder.state_dict().items())


def test_a_file_of_2022_has_the_statistics_of_audioset(small: None) -> None:
    file = published(SMALL)
    del file["norm_stats"]
    encoder = build_encoder(EncoderSettings(name="m2d"))
    encoder.load_published(file)
    assert encoder.transformer.norm_stats.tolist() == pytest.approx([-7.1, 4.2])


def test_a_file_of_another_input_size_says_which_encoder_it_is_for(small: None) -> None:
    encoder = build_encoder(EncoderSettings(name="m2d"))
    with pytest.raises(CheckpointError, match=r"m2d\.zip: .* --encoder\.name m2d_608"):
        load_published(encoder, published(SMALL_608), "m2d.zip")
    without = published(SMALL)
    del without["blocks.1.norm1.weight"]
    with pytest.raises(CheckpointError, match=r"1 missing \(blocks\.1\.norm1\.weight\)"):
        load_published(encoder, without, "m2d.zip")
    assert encoder_for(encoder_tensors(published(SMALL_40MS))) == "m2d_40ms"
    assert encoder_for({"positions": torch.zeros(3)}) is None


def test_a_head_may_read_tokens_or_columns() -> None:
    waveform = 0.1 * torch.randn(2, 16000)
    for width, stacked in ((24, False), (120, True)):
        tagger = M2DTagger.of_published(published(SMALL, FINE_TUNED, width), SMALL)
        assert tagger.stacked is stacked
        with torch.inference_mode():
            frames = tagger.frame_logits(waveform)
            assert tagger(waveform).shape == (2, 7)
            assert frames.shape == (2, 7, 7)  # 101 frames are seven patches begun
            torch.testing.assert_close(frames.mean(dim=1), tagger(waveform))
    with pytest.raises(InputError, match="no tagging head"):
        M2DTagger.of_published(published(SMALL), SMALL)
    with pytest.raises(InputError, match="a head that reads 10 features; expected 24 or 120"):
        M2DTagger.of_published(published(SMALL, FINE_TUNED, 10), SMALL)


def test_attention_is_that_of_the_blocks() -> None:
    torch.manual_seed(0)
    model, logmel = M2D(SMALL).eval(), torch.randn(2, 80, 200)
    attention = model.attention(logmel)
    assert attention.shape == (2, 2, 61, 61)
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(2, 2, 61))
    last = model.blocks[-1]
    x = model.patch_tokens(logmel)
    for block in model.blocks[:-1]:
        x = block(x)
    values = last.attn.qkv(last.norm1(x)).unflatten(2, (3, 2, -1))[:, :, 2].transpose(1, 2)
    mixed = (attention @ values).transpose(1, 2).flatten(2)
    torch.testing.assert_close(last.attn.proj(mixed), last.attn(last.norm1(x)))


def test_it_is_pretrained_by_lora_and_detects(small: None) -> None:
    settings = EncoderSettings(name="m2d")
    context = ContextSettings(width=16, layers=1, heads=2, hidden=16)
    backbone = Backbone(ModelSettings(encoder=settings, context=context))
    encoder = backbone.encoder
    encoder.adapt(LoraSettings(rank=2, first_block=2))
    trained = {n for n, p in encoder.named_parameters() if p.requires_grad}
    assert {n.split(".")[2] for n in trained if ".blocks." in n} == {"2"}
    assert "transformer.norm.weight" in trained
    with torch.inference_mode():
        said = DetectorModel(backbone, ("cat", "dog")).eval()(torch.randn(2, 100, 80))
    assert said.frames.shape == (2, 7, 2)
    with pytest.raises(InputError, match=r"first_block 3: encoder m2d has the blocks 0 to 2"):
        build_encoder(settings).adapt(LoraSettings(rank=2, first_block=3))
    with pytest.raises(InputError, match="pca"):
        build_encoder(EncoderSettings(name="m2d", pca=4))
