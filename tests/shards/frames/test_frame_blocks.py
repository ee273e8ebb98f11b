"""Frames that are written and read in parts."""

import numpy as np
import pytest
from frame_cases import clips, spec, write

from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameFile
from shards.frames.writer import FrameWriter
from shards.io.store import Store


@pytest.mark.parametrize("dtype", ["float16", "float32", "sparse8"])
@pytest.mark.parametrize("cut", [1, 7, 5000])
def test_a_row_in_blocks_is_the_row_at_once(tmp_path, dtype, cut):
    rows = clips(3) | {"long": np.random.default_rng(9).random((200_000, 4), np.float32)}
    write(tmp_path / "a", rows, spec(dtype=dtype))
    with FrameWriter(tmp_path / "b", spec(dtype=dtype)) as writer:
        for key, frames in rows.items():
            pieces = np.array_split(frames, cut if key == "long" else 2)
            assert writer.add_blocks(key, ((piece, None) for piece in pieces)) == len(frames)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_positions_in_blocks(tmp_path):
    frames = np.zeros((2, 4), np.float32)
    with FrameWriter(tmp_path / "a", spec()) as writer:
        writer.add_blocks("x", [(frames, [0, 3]), (frames[:0], []), (frames, [4, 9])])
        with pytest.raises(ValueError, match="y: got 2 positions"):
            writer.add_blocks("y", [(frames, [0, 3]), (frames, [3, 9])])
        with pytest.raises(ValueError, match="y: got positions for some blocks"):
            writer.add_blocks("y", [(frames, [0, 3]), (frames, None)])
    file = FrameFile.open(Store.local(tmp_path), "a")
    assert file.keys == ("x",)
    assert file.positions("x").tolist() == [0, 3, 4, 9]


@pytest.mark.parametrize("dtype", ["float16", "float32", "sparse8"])
def test_a_part_of_a_row(tmp_path, dtype):
    rows = clips()
    write(tmp_path / "a", rows, spec(dtype=dtype))
    frames = FrameSet(Store.local(tmp_path), ["a"])
    for key, values in rows.items():
        whole = frames.read(key)
        assert frames.count(key) == len(values)
        for first, stop in [(0, 0), (0, 3), (2, 5), (len(values) - 1, None), (3, 10**6)]:
            np.testing.assert_array_equal(frames.read(key, first, stop), whole[first:stop])
