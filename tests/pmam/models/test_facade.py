"""The detector as people use it: arrays of any kind in; tables and events out, as of files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch

import pmam
from pmam.errors import InputError
from pmam.events.decoding import decode_at
from pmam.events.postprocessing import smooth
from pmam.events.settings import PostprocessSettings
from pmam.models.checkpoint import CheckpointError, pack_detector, pack_encoder
from pmam.models.detector import DetectorModel
from pmam.models.facade import Detector

CLASSES = ("dog", "rain drops")
RATE = 16000


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    postprocess = PostprocessSettings(median_s=0.2)
    model = DetectorModel(tiny_models.backbone(), CLASSES, postprocess=postprocess).eval()
    with torch.no_grad():  # each class is above 0.5 about half of the time
        wave = torch.from_numpy(noise(10)[None]).float()
        logits = torch.logit(model(model.encoder.inputs(wave)).frames[0], eps=1e-6)
        scale = 2 / logits.std(dim=0)
        model.classifier.bias.sub_(logits.mean(dim=0)).mul_(scale)
        model.classifier.weight.mul_(scale[:, None])
    return Detector(model)


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    generator = np.random.default_rng(0)
    samples = round(seconds * rate)
    level = np.repeat(generator.random(int(seconds * 4) + 1) ** 3, rate // 4)[:samples]
    return (0.3 * generator.normal(size=samples) * level).clip(-0.99, 0.99)


def test_scores_are_a_labelled_table(detector: Detector) -> None:
    wave = noise(3.21)
    scores = detector.scores(wave, RATE)
    table = scores.to_arrow()
    assert table.column_names == ["onset", "offset", *CLASSES]
    assert scores.values.shape == (len(table), 2)
    assert np.asarray(scores).tolist() == scores.values.tolist()
    assert table["rain drops"].to_numpy().tolist() == scores["rain drops"].tolist()
    assert table["offset"][-1].as_py() == pytest.approx(3.21, abs=detector.hop_s)
    assert scores.values.std() > 0
    with pytest.raises(InputError, match="class 'cat': expected one of dog, rain drops"):
        _ = scores["cat"]


def test_scores_as_pandas(detector: Detector) -> None:
    pytest.importorskip("pandas", reason="the group peers is not installed")
    frame = detector.scores(noise(2), RATE).to_pandas()
    assert list(frame.columns) == ["onset", "offset", *CLASSES]


@pytest.mark.parametrize("rate", [RATE, 22050, 44100])
def test_events_are_those_of_the_scores(detector: Detector, rate: int) -> None:
    """The whole at once, post-processed and decoded by what works on whole clips."""
    wave = noise(25.3, rate)
    found = detector.events(wave, rate)
    scores = detector.scores(wave, rate)
    settings = detector.model.postprocess
    smoothed = smooth(scores.values, None, CLASSES, detector.hop_s, settings)
    expected = decode_at(smoothed, CLASSES, scores.edges_s, settings.thresholds(CLASSES))
    assert len(found) > 10
    assert [event[:3] for event in found] == [
        (e.onset_s, e.offset_s, e.label) for e in sorted(expected)
    ]


def test_kinds_of_waves(detector: Detector) -> None:
    wave = (noise(2) * 2**15).round().astype(np.int16)
    expected = detector.scores(wave / np.float32(2**15), RATE).values
    for same in (
        wave,
        wave.astype(np.int32) * 2**16,
        np.stack([wave, wave], axis=1),
        (wave / 2**15).tolist(),
        (wave / 2**15).astype(np.float64),
    ):
        assert np.abs(detector.scores(same, RATE).values - expected).max() < 1e-6
    stereo = np.stack([wave / 2**15, np.zeros(len(wave))], axis=1)
    half = detector.scores(wave / 2**16, RATE).values
    assert np.abs(detector.scores(stereo, RATE).values - half).max() < 1e-6


@pytest.mark.parametrize(
    ("wave", "said"),
    [
        (np.zeros(0), r"expected \(samples,\)"),
        (np.zeros((2, 16000)), "transpose it"),
        (np.zeros((1, 2, 3)), r"\(samples, channels\)"),
        (np.array([0.0, np.nan]), "NaN or infinite"),
        (np.zeros(100, np.uint8), "wave of uint8"),
    ],
)
def test_waves_that_are_none(detector: Detector, wave: np.ndarray, said: str) -> None:
    for call in (detector.scores, detector.events):
        with pytest.raises(InputError, match=said):
            call(wave, RATE)
    with pytest.raises(InputError, match="sample_rate_hz 0"):
        detector.scores(np.zeros(100), 0)


def test_a_stream_gives_the_same_events_within_its_latency(detector: Detector) -> None:
    live = Detector(detector.model, window_s=2, overlap_s=0.5, batch=1)
    rate, wave, done = 22050, noise(30, 22050), [0]

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(wave), 700):
            block = wave[start : start + 700]
            done[0] += len(block)
            yield block

    delays, found = [], []
    for event in live.stream(blocks(), rate):
        delays.append(done[0] / rate - event.offset_s)
        found.append(event)
    assert sorted(found, key=lambda each: each[:3]) == live.events(wave, rate)
    assert len(found) > 10
    assert max(delays) <= live.latency_s + 700 / rate
    assert live.latency_s < 5
    assert min(delays[:3]) < live.latency_s  # they do not all wait for the end
    assert done[0] == len(wave)


def test_a_file_that_is_loaded(detector: Detector, tmp_path: Path) -> None:
    file = tmp_path / "detector.safetensors"
    assert isinstance(detector.model, DetectorModel)
    file.write_bytes(pack_detector(detector.model).to_bytes())
    loaded = pmam.Detector.load(file, window_s=5)
    assert (loaded.classes, loaded.window_s) == (CLASSES, 5)
    wave = noise(4)
    assert loaded.scores(wave, RATE).values.tolist() == detector.scores(wave, RATE).values.tolist()
    with pytest.raises(CheckpointError, match="no such file"):
        Detector.load(tmp_path / "none.safetensors")
    other = tmp_path / "encoder.safetensors"
    other.write_bytes(pack_encoder(detector.model.encoder).to_bytes())
    with pytest.raises(CheckpointError, match="expected a detector"):
        Detector.load(other)
    with pytest.raises(InputError, match="overlap"):
        Detector.load(file, window_s=1, overlap_s=1)
