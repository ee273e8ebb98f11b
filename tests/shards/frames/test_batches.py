"""The one batch of a frame file that is kept in memory: let go of, and not mixed up by threads."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from frame_cases import clips, spec, write

from shards.frames.reader import FrameFile, FrameSet
from shards.io.store import Store


def test_a_file_lets_go_of_the_batch_that_it_read(tmp_path):
    rows = clips()
    frames = FrameSet(Store.local(write(tmp_path / "a.arrow", rows, spec()).parent), ["a.arrow"])
    before = {key: frames.read(key).copy() for key in rows}
    frames.release()
    assert frames.files[0]._batch[0] == -1
    assert all(np.array_equal(frames.read(key), before[key]) for key in rows)


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
