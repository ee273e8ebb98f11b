"""Events as boxes: where they begin and end, what joins them, and what a threshold does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pmam.boxes import (
    Box,
    BoxSettings,
    box_scores,
    change,
    find_boxes,
    turning_points,
)
from pmam.events import decode

HOP_S = 0.1
SETTINGS = BoxSettings(step_s=0.6)


def one(*pieces: tuple[int, float]) -> np.ndarray:
    """Scores (frames, 1) that are constant in pieces of (frames, score)."""
    return np.concatenate([np.full((frames, 1), score) for frames, score in pieces])


def spans(scores: np.ndarray, settings: BoxSettings = SETTINGS) -> list[tuple[int, int]]:
    return [(box.first, box.end) for box in find_boxes(scores, HOP_S, settings)[0]]


def test_a_box_lies_where_the_score_changes_and_has_its_mean() -> None:
    scores = one((20, 0.1), (15, 0.6), (25, 0.05))
    assert find_boxes(scores, HOP_S, SETTINGS) == [
        [Box(first=20, end=35, confidence=pytest.approx(0.6))]
    ]


def test_a_threshold_keeps_or_drops_a_box_as_a_whole() -> None:
    slope = np.concatenate([np.linspace(0, 0.9, 12), np.full(20, 0.9), np.linspace(0.9, 0, 12)])
    scores = box_scores(slope[:, None], HOP_S, SETTINGS)
    found = [decode(scores, ("a",), HOP_S, threshold=t) for t in (0.01, 0.3, 0.5, 0.7)]
    assert all(events == found[0] and len(events) == 1 for events in found)
    raw = [decode(slope[:, None], ("a",), HOP_S, threshold=t)[0] for t in (0.01, 0.7)]
    assert raw[0] != raw[1], "frame scores change their length with the threshold"


def test_shallow_gaps_join_and_deep_ones_part() -> None:
    def two(gap: float) -> np.ndarray:
        return one((10, 0.0), (15, 0.8), (8, gap), (15, 0.7), (10, 0.0))

    assert spans(two(0.1)) == [(10, 25), (33, 48)]
    assert spans(two(0.6)) == [(10, 48)]
    # The lower of the two neighbours decides: 0.7 - 0.4.
    assert len(spans(two(0.4), BoxSettings(step_s=0.6, merge_drop=0.29))) == 2
    assert len(spans(two(0.4), BoxSettings(step_s=0.6, merge_drop=0.31))) == 1
    # 0.7 / 0.4 = 1.75
    ratios = [BoxSettings(step_s=0.6, merge_drop=0, merge_ratio=r) for r in (1.7, 1.8)]
    assert [len(spans(two(0.4), settings)) for settings in ratios] == [2, 1]


def test_of_steps_in_a_row_the_largest_counts() -> None:
    assert spans(one((10, 0.0), (10, 0.5), (10, 0.9), (10, 0.0))) == [(10, 30)]
    assert spans(one((10, 0.0), (10, 0.3), (10, 0.9), (10, 0.5), (10, 0.0))) == [(20, 40)]


def test_events_at_the_ends_of_a_clip_reach_them() -> None:
    assert spans(one((12, 0.9), (20, 0.0), (12, 0.8))) == [(0, 12), (32, 44)]
    assert spans(one((30, 0.7))) == [(0, 30)]
    assert spans(one((1, 0.7))) == [(0, 1)]
    assert spans(np.zeros((10, 1))) == []
    assert spans(np.zeros((0, 1))) == []


def test_change_by_hand() -> None:
    scores = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(change(scores, 2), [0, 0.5, 1, 0.5, -0.5, -1])
    assert turning_points(change(scores, 2)) == [(0, False), (2, True), (5, False)]


def test_turning_points_of_plateaus_come_in_turn() -> None:
    curve = np.array([0.0, 1.0, 1.0, 0.5, 0.5, 2.0, 2.0])
    kinds = [kind for _, kind in turning_points(curve)]
    assert kinds == [False, True, False, True]
    assert turning_points(np.ones(4)) == []


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 60), st.just(2)), elements=st.floats(0, 1, width=32)
    )
)
def test_boxes_of_a_class_are_in_order_apart_and_as_sure_as_their_mean(scores: np.ndarray) -> None:
    flat = box_scores(scores, HOP_S, SETTINGS)
    assert flat.dtype == np.float32
    for column, boxes in enumerate(find_boxes(scores, HOP_S, SETTINGS)):
        borders = [border for box in boxes for border in (box.first, box.end)]
        assert borders == sorted(set(borders))
        outside = np.ones(len(scores), dtype=bool)
        for box in boxes:
            inside = scores[box.first : box.end, column].astype(np.float64)
            assert box.confidence == pytest.approx(inside.mean())
            assert (flat[box.first : box.end, column] == np.float32(box.confidence)).all()
            outside[box.first : box.end] = False
        assert (flat[outside, column] == 0).all()


def test_bad_settings_are_refused() -> None:
    for wrong in ({"step_s": 0.0}, {"merge_drop": -0.1}, {"merge_ratio": 0.5}):
        with pytest.raises(ValueError, match="expected a positive step"):
            BoxSettings(**wrong)
