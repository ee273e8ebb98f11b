"""What phones, recorders and cameras write is packed and listened to, all of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import SETTINGS
from packing import pack
from sound_by_pyav import encoded_by_pyav

from pipelines.stages.detect.file import detect_file
from pmam.models.detector import FrameDetector
from shards.clip import Clip

SECONDS, HZ = 3.0, 440
# suffix: container, codec, rate, moving pictures too
KINDS = {
    ".m4a": ("ipod", "aac", 44_100, False), ".aac": ("adts", "aac", 44_100, False),
    ".amr": ("amr", "amr_nb", 8_000, False), ".3gp": ("3gp", "amr_nb", 8_000, True),
    ".webm": ("webm", "libopus", 48_000, False), ".wma": ("asf", "wmav2", 44_100, False),
    ".mp4": ("mp4", "aac", 48_000, True), ".mkv": ("matroska", "libopus", 48_000, True),
    ".avi": ("avi", "pcm_s16le", 16_000, True), ".aiff": ("aiff", "pcm_s16be", 32_000, False),
    ".w64": ("w64", "pcm_s16le", 32_000, False), ".mov": ("mov", "alac", 44_100, True),
}  # fmt: skip
SLACK_S = 0.15  # of encoders' delay and padding


def made(folder: Path, suffix: str) -> Path:
    container, codec, rate_hz, with_picture = KINDS[suffix]
    tone = 0.3 * np.sin(2 * np.pi * HZ * np.arange(round(SECONDS * rate_hz)) / rate_hz)
    path = folder / f"rec{suffix}"
    path.write_bytes(encoded_by_pyav(tone, rate_hz, container, codec, with_picture=with_picture))
    return path


@pytest.mark.parametrize("suffix", KINDS)
def test_it_is_packed_and_stored_as_flac(tmp_path: Path, suffix: str) -> None:
    path = made(tmp_path, suffix)
    clip = Clip(source_id="rec", audio=path.name, subset="unlabeled")
    dataset, _ = pack(tmp_path, [clip], tmp_path / "set")
    (row,) = dataset.rows
    rate_hz = KINDS[suffix][2]
    assert (row.codec, row.sample_rate_hz, row.channels) == ("flac", rate_hz, 1)
    assert abs(row.num_samples / rate_hz - SECONDS) < SLACK_S
    samples = dataset.audio(row)[rate_hz // 2 : 2 * rate_hz]
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) * rate_hz / len(samples) - HZ) < 3
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.25)


def test_detect_listens_to_all_of_it(tmp_path: Path, detector: FrameDetector) -> None:
    for suffix in KINDS:
        found = detect_file(detector, str(made(tmp_path, suffix)), SETTINGS)
        assert found.duration_s == pytest.approx(SECONDS, abs=SLACK_S)


def test_detect_warns_of_opposite_phase(tmp_path: Path, detector: FrameDetector) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 32_000)
    sf.write(tmp_path / "x.wav", np.stack([noise, -noise], axis=1), 32_000)
    sf.write(tmp_path / "left.wav", noise, 32_000)
    told = detect_file(detector, str(tmp_path / "x.wav"), SETTINGS)
    assert told.warning is not None
    assert "opposite phase" in told.warning
    left = replace(SETTINGS, channel="left")
    chosen = detect_file(detector, str(tmp_path / "x.wav"), left)
    assert chosen.warning is None
    alone = detect_file(detector, str(tmp_path / "left.wav"), SETTINGS)
    assert (chosen.events, alone.warning) == (alone.events, None)
