"""The one batch of a frame file that is kept in memory: let go of, and not mixed up by threads."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from frame_cases import clips, spec, write

from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameFile
from shards.io.store import Store


def test_a_file_lets_go_of_the_batch_that_it_read(tmp_path):
    rows = clips()
    frames = FrameSet(Store.local(write(tmp_path / "a.arrow", rows, spec()).parent), ["a.arrow"])
    before = {key: frames.read(key).copy() for key in rows}
    frames.release()
    assert frames.files[0]._batch[0] == -1
    assert all(np.array_equal(frames.read(key), before[key]) for key in rows)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no table of mapped pages here")
def test_a_file_lets_go_of_the_pages_that_it_read(tmp_path):
    rows = {f"clip {n}": np.full((1000, 250), n, np.float32) for n in range(8)}
    path = write(tmp_path / "a.arrow", rows, spec(width=250, dtype="float32"))
    frames = FrameSet(Store.local(tmp_path), ["a.arrow"])
    views = {key: frames.read(key) for key in rows}
    assert all(view.min() == view.max() for view in views.values())
    assert resident_bytes(path) > 6e6
    frames.release()
    assert resident_bytes(path) < 1e5
    assert all(np.array_equal(views[key], rows[key]) for key in rows)


def resident_bytes(path: Path) -> int:
    """Pages of a mapped file that count as memory of this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    found = 0
    for line in lines:
        if line.endswith(str(path)):
            found += next(int(each.split()[1]) for each in lines if each.startswith("Rss:"))
    return found * 1024


def test_threads_that_read_one_file_get_what_they_ask_for(tmp_path, monkeypatch):
    """Each reads another batch than the other, which the file keeps one of."""
    rows = {f"clip {n}": np.full((2, 3), n, np.float32) for n in range(8)}
    monkeypatch.setattr("shards.frames.writer.BATCH_BYTES", 1)
    write(tmp_path / "a.arrow", rows, spec(width=3, dtype="float32"))
    file = FrameFile.open(Store.local(tmp_path), "a.arrow")

    def wrong(first: int) -> list[str]:
        keys = [*rows][first:] + [*rows][:first]
        return [key for key in keys * 100 if not np.array_equal(file.read(key), rows[key])]

    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert [*threads.map(wrong, (0, 2, 4, 6))] == [[]] * 4
    finally:
        sys.setswitchinterval(interval_s)
