import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pmam.events.median_filter import (
    hard_mask,
    max_filter_frames,
    mean_scores,
    median_filter,
    median_filter_frames,
    odd_frames,
    weak_mask,
)


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


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.just(1)), elements=st.floats(0, 1)),
    st.integers(1, 40),
)
def test_the_running_maximum_of_the_median(scores: np.ndarray, size: int) -> None:
    median = median_filter_frames(scores, [size])[:, 0]
    before, after = size // 2, (size - 1) // 2
    expected = [
        median[max(0, t - before) : t + after + 1].max() if size > 1 else median[t]
        for t in range(len(median))
    ]
    np.testing.assert_array_equal(max_filter_frames(scores, [size])[:, 0], expected)


def test_repeated_ends_weigh_more_than_mirrored_ones() -> None:
    scores = np.array([[1.0], [0.0], [0.0], [0.0], [0.0]])
    assert median_filter_frames(scores, [5])[0] == 0
    assert median_filter_frames(scores, [5], ends="repeated")[0] == 1


def test_a_hard_mask_silences_absent_classes() -> None:
    masked = hard_mask(np.full((2, 3, 2), 0.5), np.array([[0.3, 0.29], [1.0, 0.0]]), 0.3)
    assert masked[:, 0].tolist() == [[0.5, 0.0], [0.5, 0.0]]


def test_an_ensemble_is_the_mean_of_its_members() -> None:
    members = [np.full((3, 2), value, np.float32) for value in (0.1, 0.2, 0.6)]
    mean = mean_scores(members)
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, 0.3, rtol=1e-6)
    with pytest.raises(ValueError, match="same shape"):
        mean_scores([members[0], members[1][:2]])
    with pytest.raises(ValueError, match="at least one member"):
        mean_scores([])
