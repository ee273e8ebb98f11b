"""Windows cover every frame once added up, whatever the blocks that the stream comes in."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmam.events.overlap_add import OverlapAdd, Windows, fade, split


def through_windows(stream: np.ndarray, block: int, windows: Windows, units: int) -> np.ndarray:
    """Each window's frames are the means of their units: so is what must come out."""
    blocks = [stream[i : i + block] for i in range(0, len(stream), block)]
    adder = OverlapAdd(windows.overlap)
    parts = []
    for first, window in split(blocks, windows, units):
        assert len(window) <= windows.frames * units + units - 1
        padded = np.pad(window, (0, -len(window) % units), mode="edge")
        parts.append(adder.add(first, padded.reshape(-1, units).mean(axis=1)[:, None]))
    return np.concatenate([*parts, adder.finish()])[:, 0]


@given(
    st.integers(1, 400), st.integers(1, 90), st.integers(1, 12), st.integers(0, 11),
    st.integers(1, 5),
)  # fmt: skip
def test_any_stream_comes_back_whole(
    length: int, block: int, frames: int, overlap: int, units: int
) -> None:
    windows = Windows(frames=frames, overlap=min(overlap, frames - 1))
    stream = np.random.default_rng(length).normal(size=length).astype(np.float32)
    padded = np.pad(stream, (0, -length % units), mode="edge")
    expected = padded.reshape(-1, units).mean(axis=1)
    found = through_windows(stream, block, windows, units)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_all_windows_but_a_lone_one_are_full() -> None:
    windows = Windows(frames=10, overlap=3)
    sizes = [(first, len(w)) for first, w in split([np.zeros(103, np.float32)], windows, 4)]
    assert sizes == [(0, 40), (7, 40), (14, 40), (16, 39)]
    assert [len(w) for _, w in split([np.zeros(7, np.float32)], windows, 4)] == [7]


def test_memory_stays_bounded_on_long_streams() -> None:
    held = 0
    windows = Windows(frames=100, overlap=20)
    adder = OverlapAdd(windows.overlap)
    blocks = (np.ones(1000, np.float32) for _ in range(500))
    for first, window in split(blocks, windows, 10):
        adder.add(first, np.ones((100, 2), np.float32))
        held = max(held, len(adder.weights), len(window) // 10)
    assert held <= 200


def test_fades_are_symmetric_and_never_zero() -> None:
    weights = fade(9, 4)
    assert (weights > 0).all()
    assert np.array_equal(weights, weights[::-1])
    assert weights.max() == 1


def test_windows_that_never_advance_are_refused() -> None:
    with pytest.raises(ValueError, match="below the window"):
        Windows(frames=4, overlap=4)
