"""M2D against numbers of its reference: front end, tokens, tags, frames, clips of any length."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity_rule import assert_close, load, tensors, wav

from pmam.encoders.m2d.encoder import M2DEncoder
from pmam.encoders.m2d.front_end import M2DLogMel, slaney_basis
from pmam.encoders.m2d.head import M2DTagger
from pmam.encoders.m2d.transformer import M2DSettings
from pmam.encoders.settings import EncoderSettings


@pytest.fixture(scope="module")
def fixture(parity_dir: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    return load(parity_dir, "10_m2d")


@pytest.fixture(scope="module")
def published(fixture: tuple[dict[str, Any], Any]) -> dict[str, torch.Tensor]:
    return tensors(fixture[0])


@pytest.fixture(scope="module")
def tagger(published: dict[str, torch.Tensor]) -> M2DTagger:
    return M2DTagger.of_published(published, M2DSettings())


def clips(meta: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(wav(meta["seed"], meta["config"]["sr"]))


def test_front_end(fixture: Any) -> None:
    meta, expected = fixture
    assert_close(meta, expected, "mel_basis", slaney_basis()[:, ::2])
    power = M2DLogMel().power(clips(meta))[:, ::3, ::7]
    distance = np.abs(power.numpy() - expected["melspec"])
    assert distance.max() <= meta["outputs"]["melspec"]["strict_tolerance_cpu_f32"]
    assert (distance <= 1e-6 + 1e-4 * np.abs(expected["melspec"])).all()


def test_tokens_and_tags(fixture: Any, tagger: M2DTagger) -> None:
    meta, expected = fixture
    waveform = clips(meta)
    assert not tagger.stacked
    with torch.inference_mode():
        logmel = tagger.normalised(waveform)
        columns = tagger.columns(waveform)  # (B, 62, 5, 768)
        logits, frames = tagger(waveform), tagger.frame_logits(waveform)
    assert_close(meta, expected, "norm_logmel", logmel[:, None, ::3, ::7])
    flat = columns.transpose(1, 2).flatten(1, 2)  # frequency by frequency
    assert_close(meta, expected, "encode_flat", flat[:, ::9, ::7])
    over_frequency = columns.mean(dim=2)
    assert_close(meta, expected, "timestamp_embeddings", over_frequency[:, ::3, ::7])
    assert_close(meta, expected, "scene", flat.mean(dim=1))
    assert_close(meta, expected, "logits", logits)
    assert_close(meta, expected, "frame_logits", frames[:, ::3, ::5])
    stacked = columns[:1].flatten(2)
    assert_close(meta, expected, "encode_stacked", stacked[:, ::5, ::37])
    step_ms = 1000 * waveform.shape[1] / tagger.sample_rate_hz / columns.shape[1]
    times_ms = torch.arange(columns.shape[1]).float().expand(2, -1) * step_ms
    assert_close(meta, expected, "timestamps_ms", times_ms)
    values, order = logits.softmax(dim=1).topk(20)
    for clip, stored in enumerate(expected["softmax_top20"]):
        probabilities = logits[clip].softmax(dim=0)
        np.testing.assert_allclose(probabilities[stored.astype(int)], values[clip], atol=1e-6)
        assert set(order[clip].tolist()) >= {
            int(number) for number in stored if probabilities[int(number)] > values[clip, -1] + 1e-6
        }


def test_shorter_and_longer_clips(fixture: Any, tagger: M2DTagger) -> None:
    meta, expected = fixture
    rate, waveform = tagger.sample_rate_hz, clips(meta)
    short = waveform[:, : 2 * rate]
    with torch.inference_mode():
        assert_close(meta, expected, "short2s_logits", tagger(short))
        assert_close(meta, expected, "short2s_frame_logits", tagger.frame_logits(short)[:, :, ::5])
        long = torch.cat([waveform[:1], waveform[:1, : 4 * rate]], dim=1)
        frames = tagger.frame_logits(long)
    full = tuple(meta["outputs"]["long14s_frame_logits"]["full_shape"])
    assert frames.shape == full
    assert_close(meta, expected, "long14s_frame_logits", frames[:, ::3, ::5])


def test_the_encoder_gives_the_columns_side_by_side(
    fixture: Any, published: dict[str, torch.Tensor], tagger: M2DTagger
) -> None:
    meta, expected = fixture
    encoder = M2DEncoder(EncoderSettings(name="m2d")).eval()
    encoder.load_published(published)
    waveform = clips(meta)
    with torch.inference_mode():
        inputs = encoder.inputs(waveform)
        frames = encoder(inputs)
        assert inputs.shape == (2, 1000, 80)
        assert frames.shape == (2, 63, 3840)
        assert_close(meta, expected, "encode_stacked", frames[:1, :62][:, ::5, ::37])
    assert torch.equal(frames[:, 62], frames[:, 61])  # only half a patch is left behind them


def test_every_output_is_compared(fixture: Any) -> None:
    text = Path(__file__).read_text()
    for name in fixture[1]:
        assert f'"{name}"' in text, f"the fixture's {name} is not compared"
