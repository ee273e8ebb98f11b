"""Events of any file, against one forward pass, overlap-add by hand and real recordings."""

import io
import math
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from detect_cases import CLASSES, RATE, SETTINGS, noise

from pipelines.stages.detect.file import detect_file
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.write import write_detections
from pmam.events.median_filter import median_filter
from pmam.models.detector import DetectorModel
from shards.annotations.event import SoundEvent
from shards.audio.decoding import AudioError, decode

HOP_S = 0.04


@torch.inference_mode()
def forward(detector: DetectorModel, samples: np.ndarray) -> np.ndarray:
    """`(samples,)` in one go to probabilities `(frames, classes)`."""
    inputs = detector.backbone.encoder.inputs(torch.from_numpy(samples).float()[None])
    return detector(inputs).frames[0].numpy()


def spelt_out(scores: np.ndarray, threshold: float, end_s: float) -> list[tuple]:
    """Events of smoothed scores `(frames, classes)`, frame by frame."""
    events = []
    for column, label in enumerate(CLASSES):
        onset = None
        for frame in range(len(scores) + 1):
            active = frame < len(scores) and scores[frame, column] > threshold
            if active and onset is None:
                onset = frame
            if not active and onset is not None:
                peak = scores[onset:frame, column].max()
                events.append((onset * HOP_S, min(frame * HOP_S, end_s), label, peak))
                onset = None
    return sorted(events)


def assert_same(found: Sequence[SoundEvent], expected: list[tuple]) -> None:
    assert [event.label for event in found] == [label for _, _, label, _ in expected]
    for event, (onset_s, offset_s, _, score) in zip(found, expected, strict=True):
        assert (event.onset_s, event.offset_s) == pytest.approx((onset_s, offset_s), abs=1e-6)
        assert event.score == pytest.approx(score, abs=1e-4)


def overlap_added(detector: DetectorModel, samples: np.ndarray, starts: list[int]) -> np.ndarray:
    """Windows of 250 frames that fade into each other over 50: `(frames, classes)`."""
    ramp = (np.arange(250) + 0.5) / 50
    weight = np.minimum(1, np.minimum(ramp, ramp[::-1]))[:, None]
    frames = math.ceil(len(samples) / 640)
    total, weights = np.zeros((frames, 3)), np.zeros((frames, 1))
    for start in starts:
        scores = forward(detector, samples[start * 640 : (start + 250) * 640])
        total[start : start + 250] += weight * scores
        weights[start : start + 250] += weight
    return total / weights


def as_heard(path: Path) -> np.ndarray:
    """What the model hears of a file."""
    return decode(path.read_bytes(), str(path), sample_rate_hz=RATE)


def test_a_file_of_one_window_is_one_forward_pass(detector: DetectorModel, tmp_path: Path) -> None:
    path = tmp_path / "ten.wav"
    sf.write(path, noise(10), RATE, subtype="FLOAT")
    found = detect_file(detector, str(path), SETTINGS).events
    scores = median_filter(forward(detector, as_heard(path)), detector.postprocess.median_s, HOP_S)
    assert_same(found, spelt_out(scores, 0.5, 10.0))
    assert len({event.label for event in found}) == 3
    assert len(found) > 6


def test_a_long_file_is_overlap_add_by_hand(detector: DetectorModel, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sf.write(path, noise(35.013), RATE, subtype="FLOAT")
    # 200 frames a step; the last window ends with the file: 876 frames
    raw = overlap_added(detector, as_heard(path), [0, 200, 400, 600, 626])
    settings = DetectSettings(threshold=0.4, median_s=0.2, median_by_class_s={"car": 0.6}, batch=3)
    scores = np.stack(
        [
            median_filter(raw, width_s, HOP_S)[:, column]
            for column, width_s in enumerate([0.2, 0.6, 0.2])
        ],
        axis=1,
    )
    found = detect_file(detector, str(path), settings).events
    assert_same(found, spelt_out(scores, 0.4, 35.013))
    assert len(found) > 20


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_batch_changes_nothing(detector: DetectorModel, tmp_path: Path, batch: int) -> None:
    path = str(tmp_path / "long.wav")
    sf.write(path, noise(25), RATE)
    expected = detect_file(detector, path, SETTINGS).events
    found = detect_file(detector, path, DetectSettings(batch=batch)).events
    assert [(e.onset_s, e.offset_s, e.label) for e in found] == [
        (e.onset_s, e.offset_s, e.label) for e in expected
    ]


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "subtype"),
    [
        ("wav", 8000, 1, "PCM_16"),
        ("wav", 44100, 2, "PCM_24"),
        ("flac", 44100, 2, "PCM_24"),
        ("flac", 96000, 6, "PCM_16"),
        ("ogg", 44100, 2, "VORBIS"),
        ("mp3", 22050, 1, "MPEG_LAYER_III"),
        ("wav", 11025, 1, "PCM_U8"),
    ],
)
def test_any_rate_channels_and_codec(
    detector: DetectorModel, tmp_path: Path, suffix: str, rate: int, channels: int, subtype: str
) -> None:
    path = tmp_path / f"any.{suffix}"
    samples = np.stack([noise(6.03, rate, seed) for seed in range(channels)], axis=1)
    sf.write(path, samples, rate, subtype=subtype)
    heard = as_heard(path)
    scores = median_filter(forward(detector, heard), detector.postprocess.median_s, HOP_S)
    end_s = sf.info(path).duration
    found = detect_file(detector, str(path), SETTINGS).events
    assert_same(found, spelt_out(scores, 0.5, end_s))
    assert found
    assert max(event.offset_s for event in found) <= end_s


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("samples", [2, 100, 641])
def test_files_shorter_than_a_frame(
    detector: DetectorModel, tmp_path: Path, samples: int, rate: int
) -> None:
    path = tmp_path / "short.wav"
    sf.write(path, np.full(samples, 0.1), rate)
    for event in detect_file(detector, str(path), DetectSettings(threshold=0.0)).events:
        assert 0 <= event.onset_s < event.offset_s <= samples / rate


def test_a_single_sample(detector: DetectorModel, tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    sf.write(path, [0.5], RATE)
    found = detect_file(detector, str(path), DetectSettings(threshold=0.0)).events
    assert [(e.onset_s, e.offset_s, e.label) for e in found] == [
        (0.0, 1 / RATE, label) for label in CLASSES
    ]
    sf.write(path, [0.5], 44100)  # not even one sample of the model's
    with pytest.raises(AudioError, match=r"one\.wav: got 1 samples at 44100 Hz.*16000 Hz"):
        detect_file(detector, str(path), SETTINGS)


def test_silence(detector: DetectorModel, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    sf.write(path, np.zeros(RATE * 12), RATE)
    raw = overlap_added(detector, np.zeros(RATE * 12, np.float32), [0, 50])
    values = np.sort(raw, axis=None)
    widest = np.diff(values).argmax()
    threshold = float(values[widest : widest + 2].mean())  # some of it is an event, none is close
    found = detect_file(detector, str(path), DetectSettings(threshold=threshold, median_s=0)).events
    assert_same(found, spelt_out(raw, threshold, 12.0))
    assert found


def test_memory_does_not_grow_with_the_file(detector: DetectorModel, tmp_path: Path) -> None:
    def peak_bytes(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        with sf.SoundFile(path, "w", RATE, 1) as file:
            for start in range(0, seconds, 60):
                file.write(noise(60, seed=start))
        tracemalloc.start()
        detect_file(detector, str(path), few)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few = DetectSettings(threshold=0.999, window_s=5.0)  # events do take memory
    # Six minutes more are 23 MB of samples.
    assert peak_bytes(420) < peak_bytes(60) + 2_000_000


def test_real_mixtures(
    detector: DetectorModel, checkpoint: str, shared_dir: Path, tmp_path: Path
) -> None:
    folder = shared_dir / "data" / "tut_rare_sample" / "audio"
    paths = sorted(folder.glob("*.flac"))[:3]
    out = io.StringIO()
    write_detections([str(path) for path in paths], checkpoint, SETTINGS, out=out)
    rows = [line.split("\t") for line in out.getvalue().splitlines()[1:]]
    assert [name for name, *_ in rows] == sorted(name for name, *_ in rows)
    for path in paths:
        info = sf.info(path)
        assert (info.samplerate, info.subtype) == (44100, "PCM_24")
        scores = median_filter(
            overlap_added(detector, as_heard(path), [0, 200, 400, 500]), 0.3, HOP_S
        )
        expected = spelt_out(scores, 0.5, info.duration)
        found = [row for row in rows if row[0] == str(path)]
        assert [(float(a), float(b), c) for _, a, b, c, _ in found] == [
            (pytest.approx(a), pytest.approx(b), c) for a, b, c, _ in expected
        ]
