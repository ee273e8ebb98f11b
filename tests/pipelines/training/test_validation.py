"""The labels of crops that validation compares with."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inference.events import events_within
from shards.clip import Event

HOP_S = 0.1


def times(
    events: tuple[Event, ...] | None, first_frame: int, frames: int
) -> list[tuple[float, float, str]]:
    return [
        (pytest.approx(e.onset_s), pytest.approx(e.offset_s), e.label)
        for e in events_within(events, first_frame * HOP_S, frames * HOP_S)
    ]


def test_events_of_a_crop_begin_where_it_does_and_end_within() -> None:
    events = (
        Event(0.0, 0.9, "before"),
        Event(0.5, 1.0, "up to it"),
        Event(0.7, 1.23, "into it"),
        Event(1.5, 1.75, "inside"),
        Event(1.0, 3.0, "all of it"),
        Event(0.2, 4.0, "and more"),
        Event(2.85, 3.4, "out of it"),
        Event(3.0, 3.5, "from its end on"),
        Event(3.2, 3.5, "behind"),
    )
    assert times(events, 10, 20) == [
        (0.0, 0.23, "into it"),
        (0.5, 0.75, "inside"),
        (0.0, 2.0, "all of it"),
        (0.0, 2.0, "and more"),
        (1.85, 2.0, "out of it"),
    ]
    assert times(events, 0, 9)[0] == (0.0, 0.9, "before")
    assert times(None, 10, 20) == []


@given(st.integers(0, 50), st.integers(1, 30), st.integers(0, 79), st.integers(1, 40))
def test_frames_of_an_event_are_those_of_the_clip(
    first: int, frames: int, onset: int, length: int
) -> None:
    """On the frame grid, a crop's labels are the clip's labels, cropped."""
    whole = np.zeros(200, bool)
    whole[onset : onset + length] = True
    expected = whole[first : first + frames]
    found = np.zeros(frames, bool)
    labelled = (Event(onset * HOP_S, (onset + length) * HOP_S, "a"),)
    for event in events_within(labelled, first * HOP_S, frames * HOP_S):
        found[round(event.onset_s / HOP_S) : round(event.offset_s / HOP_S)] = True
    assert found.tolist() == expected.tolist()
