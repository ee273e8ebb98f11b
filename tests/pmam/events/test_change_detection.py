"""Events as boxes: where they begin and end, what joins them, and what a threshold does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from pmam.encoders.efficientat import MobileNet, MobileNetSettings, from_published
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.events.change_detection import Box, box_scores, change, find_boxes, turning_points
from pmam.events.decoding import decode as decode_events
from pmam.events.settings import BoxSettings
from shards.audio.decoding import decode

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
    found = [decode_events(scores, ("a",), HOP_S, threshold=t) for t in (0.01, 0.3, 0.5, 0.7)]
    assert all(events == found[0] and len(events) == 1 for events in found)
    raw = [decode_events(slope[:, None], ("a",), HOP_S, threshold=t)[0] for t in (0.01, 0.7)]
    assert raw[0] != raw[1], "frame scores change their length with the threshold"


def test_shallow_gaps_join_and_deep_ones_part() -> None:
    def two(gap: float) -> np.ndarray:
        return one((10, 0.0), (15, 0.8), (8, gap), (15, 0.7), (10, 0.0))

    assert spans(two(0.1)) == [(10, 25), (33, 48)]
    assert spans(two(0.7 - 0.04)) == [(10, 48)]
    # The higher of the two neighbours decides: 0.8 - 0.4.
    assert len(spans(two(0.4), BoxSettings(step_s=0.6, merge_drop=0.39))) == 2
    assert len(spans(two(0.4), BoxSettings(step_s=0.6, merge_drop=0.41))) == 1
    # 0.8 / 0.4 = 2; both limits have to be kept.
    ratios = [BoxSettings(step_s=0.6, merge_drop=1.0, merge_ratio=r) for r in (1.9, 2.1)]
    assert [len(spans(two(0.4), settings)) for settings in ratios] == [2, 1]
    assert len(spans(two(0.4), BoxSettings(step_s=0.6, merge_drop=0.39, merge_ratio=2.1))) == 2


def test_one_deep_frame_keeps_a_gap_open() -> None:
    scores = one((10, 0.0), (20, 0.8), (6, 0.7), (1, 0.1), (6, 0.7), (20, 0.8), (10, 0.0))
    assert len(spans(scores)) == 2


def test_a_strong_event_stays_apart_from_faint_ones() -> None:
    scores = np.full((500, 1), 0.01)
    scores[50:80] = scores[400:430] = 0.05
    scores[200:240] = 0.95
    for settings in (BoxSettings(), BoxSettings(merge_drop=0.0), BoxSettings(merge_drop=0.03)):
        boxes = find_boxes(scores, 0.04, settings)[0]
        assert [(box.first, box.end) for box in boxes] == [(50, 80), (200, 240), (400, 430)]
        assert boxes[1].confidence == pytest.approx(0.95)


def test_gaps_are_judged_once_and_not_by_what_was_joined() -> None:
    # 0.5 and 0.6 join; the joined box's highest score is not held against the next gap, whose own
    # neighbours are 0.5 and 0.5.
    scores = one((9, 0.0), (9, 0.6), (9, 0.47), (9, 0.5), (9, 0.38), (9, 0.5), (9, 0.0))
    assert spans(scores, BoxSettings(step_s=0.6, merge_drop=0.15)) == [(9, 54)]
    apart = one((9, 0.0), (9, 0.6), (9, 0.4), (9, 0.5), (9, 0.38), (9, 0.5), (9, 0.0))
    assert spans(apart, BoxSettings(step_s=0.6, merge_drop=0.15)) == [(9, 18), (27, 54)]


def by_the_rule(
    scores: np.ndarray, reach: int, drop: float, ratio: float
) -> list[tuple[int, int, float]]:
    """Boxes of one class by loops over frames, straight from the description of the rule."""
    around = [0.0] * reach + [float(score) for score in scores] + [0.0] * reach
    steps = []
    for border in range(len(scores) + 1):
        here = border + reach
        after, before = around[here : here + reach], around[here - reach : here]
        steps.append(round((sum(after) - sum(before)) / reach, 9))
    peaks: list[tuple[int, float]] = []  # places of extreme change, the first of flat ones
    for border, step in enumerate(steps):
        left, right = border - 1, border + 1
        while right < len(steps) and steps[right] == step:
            right += 1
        if left >= 0 and steps[left] == step:
            continue
        is_top = (left < 0 or steps[left] < step) and (right == len(steps) or steps[right] < step)
        is_low = (left < 0 or steps[left] > step) and (right == len(steps) or steps[right] > step)
        if (is_top and step > 0) or (is_low and step < 0):
            peaks.append((border, step))
    rows: list[list[tuple[int, float]]] = []  # of one sign
    for border, step in peaks:
        if rows and (rows[-1][0][1] > 0) == (step > 0):
            rows[-1].append((border, step))
        else:
            rows.append([(border, step)])
    kept = [max(row, key=lambda peak: (abs(peak[1]), -peak[0])) for row in rows]
    if kept and kept[0][1] < 0:
        kept = kept[1:]
    events = [(kept[i][0], kept[i + 1][0]) for i in range(0, len(kept) - 1, 2)]
    joined: list[tuple[int, int]] = []
    for number, event in enumerate(events):
        if number:
            previous = events[number - 1]
            lowest = min(scores[previous[1] : event[0]])
            tops = [max(scores[first:end]) for first, end in (previous, event)]
            if all(top - lowest < drop and (top + 1e-3) / (lowest + 1e-3) < ratio for top in tops):
                joined[-1] = (joined[-1][0], event[1])
                continue
        joined.append(event)
    return [(a, b, float(np.mean(scores[a:b]))) for a, b in joined]


@pytest.fixture(scope="module")
def tagger_scores(shared_dir: Path) -> np.ndarray:
    """Scores (frames, 8 classes) at 12.5 Hz, of a published tagger that slides over recordings.

    Twelve recordings of ten classes, one after the other, heard through windows of a second.
    """
    folder = shared_dir / "data"
    network = MobileNet(MobileNetSettings()).eval()
    published = folder / "efficientat" / "mn04_as_mAP_432.pt"
    network.load_state_dict(from_published(torch.load(published, weights_only=True)), strict=True)
    paths = sorted((folder / "esc10" / "audio").glob("*/*.ogg"))[::34]
    heard = [
        torch.from_numpy(decode(path.read_bytes(), path.name, sample_rate_hz=32000))
        for path in paths
    ]
    windows = torch.cat(heard).unfold(0, 32000, 2560)
    frontend = LogMel(LogMelSettings())
    with torch.inference_mode():
        parts = [network(frontend(part)).sigmoid() for part in windows.split(64)]
    scores = torch.cat(parts).numpy().astype(np.float64)
    return scores[:, np.argsort(scores.max(axis=0))[-8:]]


@pytest.mark.parametrize(
    ("step_s", "drop", "ratio"),
    [(0.5, 0.15, None), (0.32, 0.3, None), (0.64, 1.0, 2.0), (0.5, 0.2, 3.0)],
)
def test_boxes_of_a_tagger_on_recordings_are_those_of_the_rule(
    tagger_scores: np.ndarray, step_s: float, drop: float, ratio: float | None
) -> None:
    settings = BoxSettings(step_s=step_s, merge_drop=drop, merge_ratio=ratio)
    found = find_boxes(tagger_scores, 0.08, settings)
    reach = max(1, round(step_s / 2 / 0.08))
    for column, boxes in zip(tagger_scores.T, found, strict=True):
        expected = by_the_rule(column, reach, drop, np.inf if ratio is None else ratio)
        assert [(box.first, box.end) for box in boxes] == [(a, b) for a, b, _ in expected]
        np.testing.assert_allclose([box.confidence for box in boxes], [c for *_, c in expected])
    apart = find_boxes(tagger_scores, 0.08, BoxSettings(step_s=step_s, merge_drop=0.0))
    assert 2 * len(found) < sum(map(len, found)) < sum(map(len, apart)), "some gaps close"
    assert sum(box.confidence > 0.5 for boxes in found for box in boxes) > 5


def test_a_long_recording_of_many_events_keeps_them() -> None:
    """Ten minutes, 94 events of 0.3 to 2.3 s in smoothed noise."""
    rng = np.random.default_rng(4)
    truth = np.zeros(15000)
    onsets = 60 + 157 * np.arange(94) + rng.integers(0, 40, 94)
    lengths = rng.integers(8, 58, 94)
    for onset, length in zip(onsets, lengths, strict=True):
        truth[onset : onset + length] = 6.0
    logits = ndimage.gaussian_filter1d(truth - 3 + rng.normal(0, 2.0, len(truth)), 3)
    scores = 1 / (1 + np.exp(-logits))
    boxes = find_boxes(scores[:, None], 0.04, BoxSettings())[0]
    sure = [box for box in boxes if box.confidence > 0.5]
    hit = [
        any(abs(box.first - a) <= 6 and abs(box.end - a - n) <= 6 for box in sure)
        for a, n in zip(onsets, lengths, strict=True)
    ]
    assert sum(hit) >= 90 and len(sure) <= 100


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
