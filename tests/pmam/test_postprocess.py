from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from parity_rule import load, rng

from pmam.postprocess import median_filter, median_filter_frames, odd_frames, weak_mask


def reference_inputs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Strong scores (3, 1000 frames, 10 classes) and clip probabilities (3, 10) of item 08."""
    noise = rng("post.noise", seed).standard_normal((3, 10, 1000))
    blocks = rng("post.blocks", seed)
    up = np.empty((3, 10, 1000))
    for b in range(3):
        for c in range(10):
            width = [7, 20, 45, 90, 200][(b + c) % 5]
            up[b, c] = np.repeat(blocks.standard_normal((1000 + width - 1) // width), width)[:1000]
    strong = (1 / (1 + np.exp(-(2 * up + 0.5 * noise)))).astype(np.float32)
    return strong.transpose(0, 2, 1), rng("post.weak", seed).random((3, 10)).astype(np.float32)


def test_scores_equal_the_reference(parity_dir: Path) -> None:
    meta, arrays_ = load(parity_dir, "08_postprocess_schedules")
    strong, weak = reference_inputs(meta["seed"])
    masked = weak_mask(strong, weak)
    sizes = meta["median_window_frames"]
    ours = {
        "psds_raw": masked,
        "psds_post": np.stack([median_filter_frames(clip, sizes) for clip in masked]),
        "psds_post_nomask": np.stack([median_filter_frames(clip, sizes) for clip in strong]),
    }
    for name, full in ours.items():
        assert full.dtype == np.float32
        tolerance = meta["outputs"][name]["tolerance"]
        np.testing.assert_allclose(full[:, ::7, :], arrays_[name], rtol=0, atol=tolerance)


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(0, 1)),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_the_upper_median_of_the_mirrored_scores(
    scores: np.ndarray, size_a: int, size_b: int
) -> None:
    smooth = median_filter_frames(scores, [size_a, size_b])
    for column, size in ((0, size_a), (1, size_b)):
        padded = np.pad(scores[:, column], size // 2, mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(scores)]
        np.testing.assert_array_equal(smooth[:, column], np.sort(windows, axis=1)[:, size // 2])


def test_a_click_goes_and_a_long_event_stays_where_it_was() -> None:
    scores = np.zeros((50, 2), dtype=np.float32)
    scores[10], scores[20:40] = 1, 1
    smooth = median_filter(scores, 0.5, 0.1)
    assert smooth[10].tolist() == [0, 0]
    np.testing.assert_array_equal(smooth[12:], scores[12:])
    assert scores[10].tolist() == [1, 1], "the input must stay as it is"


def test_widths_in_seconds_become_the_nearest_odd_number_of_frames() -> None:
    assert [odd_frames(w, 0.1) for w in (0.0, 0.04, 0.1, 0.29, 0.5, 0.61)] == [1, 1, 1, 3, 5, 7]
    scores = np.random.default_rng(0).random((40, 2))
    expected = median_filter_frames(scores, [1, 5])
    np.testing.assert_array_equal(median_filter(scores, [0.0, 0.5], 0.1), expected)


def test_bad_arguments_are_refused() -> None:
    scores = np.zeros((5, 2))
    with pytest.raises(ValueError, match="at least 1 frame"):
        median_filter_frames(scores, [0, 3])
    with pytest.raises(ValueError, match="expected \\(frames, 3 classes\\)"):
        median_filter_frames(scores, [1, 3, 5])
    with pytest.raises(ValueError, match="NaN"):
        median_filter_frames(np.full((5, 1), np.nan), [3])
    with pytest.raises(ValueError, match="median width -1"):
        median_filter(scores, -1.0, 0.1)
    with pytest.raises(ValueError, match="hop_s=0"):
        median_filter(scores, 1.0, 0.0)
    with pytest.raises(ValueError, match="expected \\(2,\\)"):
        weak_mask(scores, np.zeros(3))
