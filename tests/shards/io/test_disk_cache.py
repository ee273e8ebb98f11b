"""The clip cache: content checked, a hard limit, crashes and several processes."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from packing import noise_clips, pack

from shards.io.atomic import TEMPORARY
from shards.io.disk_cache import TOTAL, ClipCache
from shards.loading.prefetch import FileReader

ROOT = Path(__file__).resolve().parents[3]


def clip(number: int, size: int = 1000) -> tuple[str, bytes]:
    data = number.to_bytes(4, "big") * (size // 4)
    return hashlib.sha256(data).hexdigest(), data


def held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("??/*"))


def test_clips_come_back_and_the_oldest_go_first(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, 10_000)
    clips = [clip(number) for number in range(10)]
    for number, (checksum, data) in enumerate(clips):
        cache.put(checksum, data)
        os.utime(cache._path(checksum), (number, number))
    assert all(cache.get(checksum) == data for checksum, data in clips[:1])  # now the newest
    cache.put(*clip(99))
    assert held(tmp_path) <= 10_000
    assert clips[0][0] in cache
    assert clip(99)[0] in cache
    assert [checksum in cache for checksum, _ in clips[1:4]] == [False, False, True]
    assert clips[9][0] in cache
    cache.put(*clip(7, 20_000))
    assert clip(7, 20_000)[0] not in cache


def test_a_damaged_clip_is_not_given_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = ClipCache(tmp_path, 10_000)
    checksum, data = clip(1)
    cache.put(checksum, data)
    for damaged in (data[:-1], b"", b"x" + data[1:]):
        cache._path(checksum).write_bytes(damaged)
        assert cache.get(checksum) is None
        assert checksum not in cache
        cache.put(checksum, data)
        assert cache.get(checksum) == data
    assert "damaged in the cache" in caplog.text


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    cache = ClipCache(tmp_path, 5_000)
    (tmp_path / f"{TEMPORARY}0123").write_bytes(bytes(3000))
    cache.put(*clip(1))
    assert not list(tmp_path.glob(f"{TEMPORARY}*"))
    (tmp_path / TOTAL).write_text("")  # killed while writing the sum
    cache.put(*clip(2))
    assert (tmp_path / TOTAL).read_text() == "2000"


WRITER = """
import hashlib, sys
from pathlib import Path
from shards.io.disk_cache import ClipCache
cache = ClipCache(Path(sys.argv[1]), 40_000)
for number in range(150):
    data = ((number * 7 + int(sys.argv[2])) % 120).to_bytes(4, "big") * 250
    name = hashlib.sha256(data).hexdigest()
    found = cache.get(name)
    assert found in (None, data)
    cache.put(name, data)
"""


def test_several_processes_share_it_within_the_limit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    running = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(3)]
    cache = ClipCache(tmp_path, 40_000)
    while any(process.poll() is None for process in running):
        with cache._locked():
            assert held(tmp_path) <= 40_000
        time.sleep(0.05)
    assert [process.wait() for process in running] == [0, 0, 0]
    assert int((tmp_path / TOTAL).read_text()) == held(tmp_path) > 20_000


def test_a_cache_that_cannot_be_written_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = ClipCache(tmp_path, 10_000)
    monkeypatch.setattr(Path, "write_bytes", full)
    cache.put(*clip(1))
    cache.put(*clip(2))
    assert caplog.text.count("No space left on device") == 1
    assert held(tmp_path) == 0


def test_the_reader_fills_it_and_reads_from_it(tmp_path: Path) -> None:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    cache = ClipCache(tmp_path / "cache", 10**6)
    first = [bytes(data) for _, data in FileReader(dataset, cache=cache).read(range(9))]
    for shard in dataset.manifest.shards:
        Path(dataset.store.path(shard.name)).unlink()
    fresh = type(dataset)(dataset.store, dataset.manifest, dataset.table)
    again = [bytes(data) for _, data in FileReader(fresh, cache=cache).read(range(9))]
    assert again == first == [cache.get(row.checksum) for row in dataset.rows]
