"""A range of a stored file reads like a file; a read that fails is raised, never the end."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from packing import pack, write_noise

from shards.audio.decoding import blocks
from shards.clip import Clip
from shards.dataset import Dataset, ReadError
from shards.io import range_file
from shards.io.store import Store


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_file, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(range_file, "READ_AHEAD_BYTES", 300)


def test_it_reads_and_seeks_like_a_file_of_these_bytes(tmp_path: Path) -> None:
    data = random.Random(0).randbytes(5000)
    (tmp_path / "x").write_bytes(data)
    peer = io.BytesIO(data[700:3700])
    generator = random.Random(1)
    with range_file.opened(Store.local(tmp_path), "x", 700, 3000) as file:
        for _ in range(300):
            if generator.random() < 0.5:
                place = generator.randint(0, 3200)
                assert file.seek(place) == peer.seek(place)
            else:
                whence = generator.choice([io.SEEK_CUR, io.SEEK_END])
                step = -generator.randint(0, min(100, peer.tell()))
                assert file.seek(step, whence) == peer.seek(step, whence)
            size = generator.choice([0, 1, 50, 299, 301, 2000])
            assert file.read(size) == peer.read(size)
            assert file.tell() == peer.tell()


class Breaking(Store):
    """A store whose reads fail once some bytes were read."""

    left = 1 << 60

    def read(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        self.left -= size or 0
        if self.left < 0:
            raise OSError("connection\nreset")
        return super().read(name, offset, size)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
def test_a_broken_read_is_not_taken_for_the_end(tmp_path: Path, kind: str) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 40_000)
    sf.write(tmp_path / f"x.{kind}", samples, 16_000)
    store = Breaking(Store.local(tmp_path).filesystem, str(tmp_path))

    def count() -> int:
        with range_file.opened(store, f"x.{kind}") as file:
            return sum(map(len, blocks(file, "x", sample_rate_hz=16_000, block_s=0.1)))

    assert count() == 40_000
    store.left = 2 * (tmp_path / f"x.{kind}").stat().st_size // 3
    with pytest.raises(OSError, match="reset"):
        count()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    write_noise(tmp_path / "in/long.flac", seconds=2, rate=44_100, channels=2)
    clip = Clip(source_id="long", audio="long.flac", subset="unlabeled")
    return pack(tmp_path / "in", [clip], tmp_path / "out")[0]


def test_a_long_clip_in_blocks_is_the_clip(dataset: Dataset) -> None:
    [row] = dataset.rows
    for rate_hz in (16_000, 44_100):
        parts = list(dataset.audio_blocks(row, rate_hz, 0.3))
        assert len(parts) == 7
        assert np.array_equal(np.concatenate(parts), dataset.audio(row, rate_hz))


def test_a_long_clip_is_compared_with_its_checksum(dataset: Dataset, tmp_path: Path) -> None:
    [row] = dataset.rows
    shard = tmp_path / "out" / row.shard
    whole = shard.read_bytes()
    shard.write_bytes(whole[: row.offset + 5000] + b"\0" + whole[row.offset + 5001 :])
    with pytest.raises(ReadError, match=f"{row.key} .*do not match the checksum"):
        next(dataset.audio_blocks(row, 16_000, 0.3))
    shard.write_bytes(whole[: row.offset + 5000])
    with pytest.raises(ReadError, match="truncated"):
        next(dataset.audio_blocks(row, 16_000, 0.3))
