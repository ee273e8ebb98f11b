"""Fast decoding gives libsndfile's samples bit for bit, and no damaged file passes."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from packing import pack

from shards.audio import decoding, fast_decode
from shards.audio.decoding import AudioError
from shards.clip import Clip
from shards.dataset import Dataset
from shards.index import IndexRow

KINDS = [
    ("FLAC", "PCM_16", 1),
    ("FLAC", "PCM_24", 1),
    ("FLAC", "PCM_16", 2),
    ("FLAC", "PCM_S8", 1),
    ("WAV", "PCM_16", 1),
    ("WAV", "PCM_16", 3),
    ("WAV", "PCM_24", 1),
    ("WAV", "PCM_32", 2),
    ("WAV", "FLOAT", 1),
    ("WAV", "DOUBLE", 1),
    ("WAV", "PCM_U8", 1),
    ("WAV", "ULAW", 1),
    ("WAVEX", "PCM_16", 2),
    ("OGG", "VORBIS", 1),
]


def clip(kind: str, subtype: str, channels: int, samples: int = 5000) -> tuple[bytes, IndexRow]:
    noise = np.random.default_rng(1).uniform(-1, 1, (samples, channels))
    noise[:4] = [[-1.0], [1.0], [0.0], [0.5]]
    file = io.BytesIO()
    sf.write(file, noise, 16_000, format=kind, subtype=subtype)
    data = file.getvalue()
    info = decoding.probe(data, "x")
    values = {"key": "k", "source_id": "k", "shard": "s", "offset": 0, "size": len(data)}
    values |= {"checksum": "", "crc32": 0, "subset": "weak", "recording": None, "fold": None}
    row = IndexRow(**values, **vars(info), weak=None, events=None, meta={})
    return data, row


@pytest.mark.parametrize(("kind", "subtype", "channels"), KINDS)
def test_samples_are_those_of_libsndfile(kind: str, subtype: str, channels: int) -> None:
    data, row = clip(kind, subtype, channels)
    for given in (data, memoryview(data)):
        samples = fast_decode.decode(given, row, "x")
        assert samples.dtype == np.float32
        assert np.array_equal(samples, decoding.decode(data, "x"))
    resampled = fast_decode.decode(data, row, "x", 8000)
    assert np.array_equal(resampled, decoding.decode(data, "x", sample_rate_hz=8000))


@pytest.mark.parametrize("kind", ["FLAC", "WAV"])
def test_a_truncated_file_is_an_error(kind: str) -> None:
    data, row = clip(kind, "PCM_16", 1)
    for size in (0, 3, 30, 60, len(data) // 2, len(data) - 1):
        with pytest.raises(AudioError, match=r"^x: "):
            fast_decode.decode(data[:size], row, "x")


def test_a_flipped_byte_in_a_flac_is_an_error_or_harmless() -> None:
    data, row = clip("FLAC", "PCM_16", 1, samples=40_000)
    whole = fast_decode.decode(data, row, "x")
    for place in range(50, len(data), len(data) // 40):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        try:
            samples = fast_decode.decode(bytes(damaged), row, "x")
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            assert np.array_equal(samples, whole)


@pytest.mark.parametrize("kind", ["FLAC", "WAV"])
@pytest.mark.parametrize("change", [{"num_samples": 4999}, {"num_samples": 5001}])
def test_the_index_must_tell_the_same_length(kind: str, change: dict[str, int]) -> None:
    data, row = clip(kind, "PCM_16", 1)
    with pytest.raises(AudioError, match="the index says"):
        fast_decode.decode(data, replace(row, **change), "x")


def test_samples_that_are_not_finite_are_an_error() -> None:
    data, row = clip("WAV", "FLOAT", 1)
    damaged = bytearray(data)
    damaged[-8:-4] = np.float32(np.nan).tobytes()
    with pytest.raises(AudioError, match="NaN or infinite"):
        fast_decode.decode(bytes(damaged), row, "x")


def test_real_recordings_in_all_lossless_forms(shared_dir: Path, tmp_path: Path) -> None:
    folder = shared_dir / "data" / "esc10" / "audio"
    files = sorted(folder.rglob("*.ogg"))[::100]
    clips = [
        Clip(source_id=str(f.relative_to(folder)), audio=str(f.relative_to(folder)), subset="x")
        for f in files
    ]
    for codec in ("flac", "wav"):
        dataset: Dataset = pack(folder, clips, tmp_path / codec, codec=codec)[0]
        for row in dataset.rows:
            expected = decoding.decode(dataset.read(row), "x")
            assert np.array_equal(dataset.audio(row), expected)
