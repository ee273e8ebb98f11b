"""Sound files of all kinds, whole and with headers that do not tell the truth."""

import io
import itertools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from shards.audio import blocks, decode, measured, probe

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def noise(seconds: float, rate_hz: int = 16_000, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise `(samples, channels)` that swells, so that parts of it differ in size when encoded."""
    count = round(seconds * rate_hz)
    swell = 0.25 + 0.2 * np.sin(np.arange(count) / rate_hz * 2)[:, None]
    return swell * np.random.default_rng(seed).uniform(-1, 1, (count, channels))


def encoded(samples: np.ndarray, rate_hz: int = 16_000, kind: str = "WAV", subtype=None) -> bytes:
    """A file as libsndfile writes it."""
    buffer = io.BytesIO()
    sf.write(buffer, samples, rate_hz, format=kind, subtype=subtype)
    return buffer.getvalue()


def by_ffmpeg(samples: np.ndarray, rate_hz: int, suffix: str, options: Sequence[str] = ()) -> bytes:
    """A file as the program ffmpeg writes it."""
    command = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(rate_hz)]
    command += ["-ac", str(samples.shape[1]), "-i", "-", *options]
    return through(command, samples.astype("<f4").tobytes(), suffix)


def through(command: Sequence[str], data: bytes, suffix: str) -> bytes:
    """What a command writes into a file of that suffix, which may need to seek."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"out{suffix}"
        subprocess.run([*command, str(path)], input=data, check=True)
        return path.read_bytes()


def counted_by_ffmpeg(data: bytes, suffix: str, rate_hz: int, folder: Path) -> int:
    """How many samples the program ffmpeg finds in a file, at a rate."""
    path = folder / f"counted{suffix}"
    path.write_bytes(data)
    ignore = ["-ignore_length", "1"] if suffix == ".wav" else []
    command = ["ffmpeg", "-v", "quiet", *ignore, "-i", str(path), "-map", "0:a:0"]
    command += ["-f", "s16le", "-ac", "1", "-ar", str(rate_hz), "-"]
    return len(subprocess.run(command, capture_output=True, check=False).stdout) // 2


def with_wav_size(data: bytes, size: int, *, riff: int | None = None) -> bytes:
    """A WAV whose header gives another size of its samples."""
    changed = bytearray(data)
    place = data.index(b"data") + 4
    changed[place : place + 4] = (size & 0xFFFFFFFF).to_bytes(4, "little")
    if riff is not None:
        changed[4:8] = riff.to_bytes(4, "little")
    return bytes(changed)


def with_flac_samples(data: bytes, samples: int) -> bytes:
    """A FLAC whose header gives another number of samples; 0: none."""
    changed = bytearray(data)
    changed[21] = changed[21] & 0xF0 | samples >> 32
    changed[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(changed)


def ogg_pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    starts = [0]
    while starts[-1] < len(data):
        at = starts[-1]
        segments = data[at + 26]
        starts.append(at + 27 + segments + sum(data[at + 27 : at + 27 + segments]))
    return [data[a:b] for a, b in itertools.pairwise(starts)]


def id3_tag(size: int) -> bytes:
    """An ID3v2 tag with a picture of so many bytes."""
    seven = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + seven + bytes(range(256)) * (size // 256) + bytes(size % 256)


def length(data: bytes) -> int:
    """Samples, which all readers must agree upon."""
    count = len(decode(data, "clip.x"))
    assert probe(data, "clip.x", quick=False).num_samples == count
    assert measured(data, "clip.x").num_samples == count
    stream = blocks(io.BytesIO(data), "clip.x", sample_rate_hz=16_000, block_s=0.7)
    assert sum(map(len, stream)) == round(count * 16_000 / probe(data, "clip.x").sample_rate_hz)
    return count
