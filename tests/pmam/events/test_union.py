"""Overlapping events of one class in a clip are one, for targets and every metric."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pmam.events.event import Event
from pmam.events.targets import encode
from pmam.events.union import united
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_f1 import event_counts, event_f1
from pmam.metrics.events.event_thresholds import best_thresholds
from pmam.metrics.polyphonic.psds import PSDS1, psds

GRID_S = 0.01


def event(begin: int, length: int, label: str = "dog") -> Event:
    return Event(onset_s=begin * GRID_S, offset_s=(begin + length) * GRID_S, label=label)


EVENTS = st.lists(
    st.builds(event, st.integers(0, 90), st.integers(1, 30), st.sampled_from(("dog", "cat"))),
    max_size=8,
)


@given(EVENTS)
@settings(max_examples=150, deadline=None)
def test_union_is_that_of_the_intervals(events: list[Event]) -> None:
    """Against an own count of what each hundredth of a second holds, and where events touch."""
    found = united(events)
    for label in ("dog", "cat"):
        ours = sorted((e.onset_s, e.offset_s) for e in found if e.label == label)
        given_ones = [e for e in events if e.label == label]
        cells = [
            any(e.onset_s < (n + 0.5) * GRID_S < e.offset_s for e in given_ones) for n in range(130)
        ]
        # a border parts two events unless an event runs over it
        over = [
            any(
                e.onset_s < n * GRID_S - 1e-6 and n * GRID_S + 1e-6 < e.offset_s for e in given_ones
            )
            for n in range(130)
        ]
        expected, begun = [], None
        for n, active in enumerate(cells):
            if begun is not None and (not active or not over[n]):
                expected.append((begun, n))
                begun = None
            if active and begun is None:
                begun = n
        rounded = [(round(a / GRID_S), round(b / GRID_S)) for a, b in ours]
        assert rounded == expected
    assert united(found) == found


def test_events_that_only_touch_stay_two_and_nothing_is_reordered() -> None:
    events = [event(30, 10, "cat"), event(10, 10), event(0, 10)]
    assert united(events) == events
    assert len(united([*events, event(5, 10)])) == 2


def overlapping() -> tuple[EvaluationSet, dict[str, list[Event]]]:
    """A perfect detector of an event that was labelled in two overlapping parts."""
    truth = {"a": [event(10, 40), event(40, 40)], "b": [event(20, 20, "cat")]}
    scores = {clip: np.zeros((100, 2)) for clip in truth}
    scores["a"][10:80, 0] = 0.9
    scores["b"][20:40, 1] = 0.9
    clips = EvaluationSet(
        scores=scores,
        hop_s=GRID_S,
        ground_truth=truth,
        durations_s=dict.fromkeys(truth, 1.0),
        classes=("dog", "cat"),
    )
    return clips, truth


def test_a_perfect_detector_of_overlapping_labels_is_perfect() -> None:
    clips, truth = overlapping()
    assert event_f1(clips).value == 1.0
    assert psds(clips, PSDS1).value == 1.0
    detections = {"a": [event(10, 70)], "b": [event(20, 20, "cat")]}
    assert event_counts(detections, truth, clips.classes).result().value == 1.0
    limits = best_thresholds(clips)
    assert event_f1(clips, [limits[name] for name in clips.classes]).value == 1.0
    assert clips.ground_truth["a"] == [event(10, 70)]  # what peers are given


def test_targets() -> None:
    parts, whole = [event(10, 40), event(30, 50)], [event(10, 70)]
    assert np.array_equal(encode(parts, ["dog"], 10, 0.1), encode(whole, ["dog"], 10, 0.1))
    # two short parts of one short event light one frame, not one each
    parts, whole = [event(8, 3), event(10, 5)], [event(8, 7)]
    assert np.array_equal(encode(parts, ["dog"], 5, 0.2), encode(whole, ["dog"], 5, 0.2))
