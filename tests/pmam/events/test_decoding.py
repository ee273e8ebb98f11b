import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pmam.events.decoding import decode, decode_at
from pmam.events.event import Event
from pmam.events.targets import encode


def test_decode_merges_runs_strictly_above_the_threshold() -> None:
    scores = np.array([[0.5, 0.9], [0.6, 0.9], [0.7, 0.1], [0.2, 0.0], [0.8, 0.51]])
    assert decode(scores, ["dog", "cat"], 0.5, threshold=0.5) == [
        Event(onset_s=0.0, offset_s=1.0, label="cat"),
        Event(onset_s=0.5, offset_s=1.5, label="dog"),
        Event(onset_s=2.0, offset_s=2.5, label="cat"),
        Event(onset_s=2.0, offset_s=2.5, label="dog"),
    ]


def test_decode_takes_a_threshold_per_class_and_a_start() -> None:
    scores = np.full((4, 2), 0.5)
    events = decode(scores, ["a", "b"], 0.25, start_s=3.0, threshold=[0.4, 0.6])
    assert events == [Event(onset_s=3.0, offset_s=4.0, label="a")]


def test_decode_of_frames_of_unequal_length() -> None:
    scores = np.array([[0.0], [1.0], [1.0], [0.0]])
    events = decode_at(scores, ["a"], np.array([0.0, 1.0, 1.5, 4.0, 5.0]), 0.5)
    assert events == [Event(onset_s=1.0, offset_s=4.0, label="a")]


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 4))))
def test_what_is_encoded_decodes_to_itself(active: np.ndarray) -> None:
    classes = [f"class{index}" for index in range(active.shape[1])]
    events = decode(active.astype(np.float32), classes, 0.064)
    again = encode(events, classes, len(active), 0.064)
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, active)


@given(st.floats(0, 9.9), st.floats(0.001, 3))
def test_every_event_activates_a_frame_and_only_frames_it_touches(
    onset: float, length: float
) -> None:
    event = Event(onset_s=onset, offset_s=onset + length, label="a")
    active = np.flatnonzero(encode([event], ["a"], 100, 0.1)[:, 0])
    assert len(active) >= 1
    assert (np.diff(active) == 1).all()
    assert (active * 0.1 < event.offset_s + 1e-6).all()
    assert ((active + 1) * 0.1 > event.onset_s - 1e-6).all()
    if event.offset_s < 10:
        assert abs(len(active) - length / 0.1) <= 1 + 1e-6


@pytest.mark.parametrize(
    ("onset", "offset", "frames"),
    [
        (0.0, 0.05, [0]),  # exactly half of a frame
        (0.04, 0.26, [0, 1, 2]),  # 60 %, all and 60 % of a frame
        (0.06, 0.24, [1]),  # 40 %, all, 40 %
        (0.09, 0.12, [1]),  # too short for any frame: the one with its middle
        (0.35, 9.0, [3, 4]),  # half of a frame, then past the end
    ],
)
def test_a_frame_is_active_from_half_on(onset: float, offset: float, frames: list[int]) -> None:
    event = Event(onset_s=onset, offset_s=offset, label="a")
    assert np.flatnonzero(encode([event], ["a"], 5, 0.1)[:, 0]).tolist() == frames


def test_an_event_in_the_remainder_after_the_last_frame_is_kept() -> None:
    event = Event(onset_s=0.52, offset_s=0.55, label="a")
    assert np.flatnonzero(encode([event], ["a"], 5, 0.1)[:, 0]).tolist() == [4]


@pytest.mark.parametrize(
    ("onset", "offset"),
    [(1.0, 1.0), (2.0, 1.0), (-0.1, 1.0), (float("nan"), 1.0), (0.0, float("inf"))],
)
def test_impossible_times_are_refused(onset: float, offset: float) -> None:
    with pytest.raises(ValueError, match="onset_s="):
        Event(onset_s=onset, offset_s=offset, label="a")


def test_bad_arguments_are_refused() -> None:
    event = Event(onset_s=0.7, offset_s=0.8, label="a")
    with pytest.raises(ValueError, match="begins after the last frame"):
        encode([event], ["a"], 5, 0.1)
    with pytest.raises(ValueError, match="not one of the classes"):
        encode([event], ["b"], 50, 0.1)
    with pytest.raises(ValueError, match="hop_s=0"):
        encode([event], ["a"], 50, 0.0)
    with pytest.raises(ValueError, match="at least 1"):
        encode([event], ["a"], 0, 0.1)
    with pytest.raises(ValueError, match="NaN"):
        decode(np.array([[np.nan]]), ["a"], 0.1)
    with pytest.raises(ValueError, match="expected \\(frames, 2 classes\\)"):
        decode(np.zeros((3, 1)), ["a", "b"], 0.1)
    with pytest.raises(ValueError, match="threshold \\(3,\\)"):
        decode(np.zeros((3, 1)), ["a"], 0.1, threshold=[0.1, 0.2, 0.3])
