"""PMAM's encoder takes ten seconds at most: its detector takes recordings of any length."""

import numpy as np
import pytest
import torch

from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings, SlidingSettings
from pmam.events.overlap_add import Windows, split
from pmam.models.backbone import Backbone
from pmam.models.detector import DetectorModel
from pmam.models.settings import ContextSettings, DetectorSettings, ModelSettings
from pmam.models.window_scores import window_scores
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings

RATE_HZ, HOP = 32000, 320
SMALL = PaSSTSettings(width=24, depth=3, heads=2)
SETTINGS = DetectorSettings(sliding=SlidingSettings(frames=512, step=160))
WINDOWS = Windows.of(10.0, 2.0, HOP / RATE_HZ)


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> DetectorModel:
    monkeypatch.setattr("pmam.encoders.passt.encoder.CLIP_HEADS", 2)
    monkeypatch.setitem(ENCODERS, "passt_cnn", lambda s: PaSSTCNNEncoder(s, SMALL))
    torch.manual_seed(0)
    encoder = EncoderSettings(name="passt_cnn", transformer_layer=2)
    context = ContextSettings(width=16, layers=1, heads=2, hidden=16)
    backbone = Backbone(ModelSettings(encoder=encoder, context=context))
    return DetectorModel(backbone, ("cat", "dog"), SETTINGS).eval()


def recording(length_s: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=round(length_s * RATE_HZ))
    return (0.1 * noise).astype(np.float32)


def streamed(detector: DetectorModel, samples: np.ndarray) -> np.ndarray:
    """Scores `(frames, classes)` of a recording that comes in blocks of a second."""
    blocks = np.array_split(samples, max(1, len(samples) // RATE_HZ))
    pieces = split(blocks, WINDOWS, HOP)
    return np.concatenate(list(window_scores(detector, pieces, WINDOWS.overlap, 2)))


@torch.inference_mode()
def at_once(detector: DetectorModel, samples: np.ndarray) -> np.ndarray:
    inputs = detector.backbone.encoder.inputs(torch.from_numpy(samples)[None])
    return detector(inputs).frames[0].numpy()


@pytest.mark.parametrize("length_s", [0.004, 3.0, 10.0])
def test_what_fits_one_window_goes_through_at_once(
    detector: DetectorModel, length_s: float
) -> None:
    samples = recording(length_s)
    found = streamed(detector, samples)
    assert len(found) >= -(-len(samples) // HOP)
    np.testing.assert_allclose(found, at_once(detector, samples), atol=1e-5)


def test_seventeen_seconds_are_two_windows_that_fade_into_each_other(
    detector: DetectorModel,
) -> None:
    samples = recording(17.0)
    found = streamed(detector, samples)
    assert found.shape == (1700, 2)
    first, second = (at_once(detector, samples[s * HOP : (s + 1000) * HOP]) for s in (0, 700))
    np.testing.assert_allclose(found[:700], first[:700], atol=1e-5)
    np.testing.assert_allclose(found[1000:], second[300:], atol=1e-5)
    between = np.stack([first[700:], second[:300]])
    assert (found[700:1000] >= between.min(axis=0) - 1e-5).all()
    assert (found[700:1000] <= between.max(axis=0) + 1e-5).all()


@pytest.mark.parametrize("length_s", [0.4, 3.0])
def test_it_trains_on_short_crops(detector: DetectorModel, length_s: float) -> None:
    frames = round(length_s * RATE_HZ / HOP)
    samples = torch.from_numpy(np.stack([recording(length_s)] * 2))
    module = Finetuning(detector, FinetuneLossSettings()).train()
    batch = LabelledBatch(
        inputs=detector.backbone.encoder.inputs(samples),
        padding=torch.zeros(2, frames, dtype=torch.bool),
        events=torch.ones(2, frames, 2),
        tags=torch.ones(2, 2),
        has_events=torch.tensor([True, False]),
        has_tags=torch.tensor([False, True]),
    )
    loss, _ = module(batch, 50, torch.Generator().manual_seed(0))
    loss.backward()
    gradients = [p.grad for p in detector.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)
