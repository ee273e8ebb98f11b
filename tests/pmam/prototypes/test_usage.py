"""Sums of posteriors, and the best segments: the same for any order and number of parts."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmam.prototypes.usage import PrototypeUsage, Segment, TopSegments, window_means


def posteriors(frames: int, prototypes: int, seed: int) -> np.ndarray:
    """Soft, some one-hot, and one prototype that no frame uses."""
    generator = np.random.default_rng(seed)
    values = generator.dirichlet(np.full(prototypes, 0.2), frames).astype(np.float32)
    values[generator.random(frames) < 0.3] = np.eye(prototypes, dtype=np.float32)[0]
    values[:, -1] = 0
    return values


def test_sums_are_those_of_all_frames_and_add_up() -> None:
    values = posteriors(500, 5, seed=0)
    values[7] = 0
    whole = PrototypeUsage(5)
    likeliest = whole.add(values)
    assert likeliest[7] == -1
    expected = np.where(np.arange(500) == 7, -1, values.argmax(axis=1))
    np.testing.assert_array_equal(likeliest, expected)
    summed = PrototypeUsage(5)
    for part in np.array_split(values, 3):
        usage = PrototypeUsage(5)
        usage.add(part)
        summed.update(PrototypeUsage.from_json(json.loads(json.dumps(usage.to_json()))))
    assert summed.frames == whole.frames == 500
    assert summed.empty == whole.empty == 1
    np.testing.assert_array_equal(summed.counts, [np.sum(expected == k) for k in range(5)])
    np.testing.assert_allclose(summed.mass, values.sum(axis=0), rtol=1e-5)
    maxima = [values[expected == k, k].sum() for k in range(5)]
    np.testing.assert_allclose(summed.maxima, maxima, rtol=1e-5)
    entropy = -sum(p * np.log(p) for p in values[values > 0].astype(float))
    assert summed.entropy == pytest.approx(entropy)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_window_means_are_those_of_the_frames_inside(
    frames: int, width: int, every: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    positions = np.cumsum(generator.integers(1, every + 1, frames))
    values = posteriors(frames, 3, seed)
    firsts, means = window_means(values, positions, width)
    assert firsts[0] == 0
    for first, mean in zip(firsts, means, strict=True):
        start = positions[first]
        inside = (positions >= start) & (positions < start + width)
        np.testing.assert_allclose(mean, values[inside].mean(axis=0), atol=1e-5)
        assert first == 0 or start + width <= positions[-1] + 1


def clips(seed: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {f"clip{n}": posteriors(int(generator.integers(1, 60)), 4, n) for n in range(30)}


def added(top: TopSegments, rows: dict[str, np.ndarray], width: int = 5) -> TopSegments:
    for key, values in rows.items():
        top.add_clip(key, [(values, np.arange(len(values)))], width=width, hop_s=0.1)
    return top


@given(st.permutations(range(30)), st.integers(1, 29))
def test_the_best_are_the_same_in_any_order_and_number_of_parts(order: list[int], cut: int) -> None:
    rows = clips(0)
    whole = added(TopSegments(4, 6, 2), rows)
    names = [list(rows)[n] for n in order]
    parts = [
        added(TopSegments(4, 6, 2), {k: rows[k] for k in p}) for p in (names[:cut], names[cut:])
    ]
    read = TopSegments.from_json(json.loads(json.dumps(parts[0].to_json())), 6, 2)
    read.update(parts[1])
    assert read.best() == whole.best()


def test_the_best_segments_are_those_of_all_windows() -> None:
    """By another way: every window of every clip, sorted."""
    rows, width = clips(3), 5
    top = added(TopSegments(4, 12, 1), rows).best()
    assert top[3] == []  # no frame uses it
    for prototype in range(3):
        best = []
        for values in rows.values():
            starts = range(max(1, len(values) - width + 1))
            best.append(max(values[s : s + width, prototype].mean() for s in starts))
        expected = sorted(best, reverse=True)[:12]
        found = [segment.mean_posterior for segment in top[prototype]]
        np.testing.assert_allclose(found, expected, atol=2e-6)
        for segment in top[prototype]:
            inside = rows[segment.key][round(segment.start_s * 10) : round(segment.stop_s * 10)]
            assert segment.mean_posterior == pytest.approx(inside[:, prototype].mean(), abs=2e-6)
            assert segment.max_posterior == inside[:, prototype].max()
            assert 0 < segment.stop_s - segment.start_s <= 0.5 + 1e-9


def test_few_of_one_clip_and_none_that_overlap() -> None:
    values = np.ones((100, 1), np.float32)
    top = added(TopSegments(1, 20, 3), {"long": values, "other": values[:10]}, width=10)
    of_long = [segment for segment in top.best()[0] if segment.key == "long"]
    assert len(of_long) == 3
    starts = sorted(segment.start_s for segment in of_long)
    assert min(np.diff(starts)) >= 1.0 - 1e-9
    assert (
        Segment(key="other", start_s=0, stop_s=1, mean_posterior=1, max_posterior=1)
        in top.best()[0]
    )


def test_blocks_of_a_long_clip_share_its_limit() -> None:
    values = posteriors(400, 3, seed=1)
    blocks = [(values[a : a + 100], np.arange(a, a + 100)) for a in range(0, 400, 100)]
    top = TopSegments(3, 20, 2)
    top.add_clip("long", blocks, width=10, hop_s=0.04, first_frame_s=0.02)
    assert [len(segments) for segments in top.best()] == [2, 2, 0]
    for prototype, segments in enumerate(top.best()[:2]):
        means = [values[s : s + 10, prototype].mean() for s in range(391) if s % 100 <= 90]
        assert segments[0].mean_posterior == pytest.approx(max(means), abs=2e-6)
        assert round((segments[0].start_s - 0.02) / 0.04) == pytest.approx(
            (segments[0].start_s - 0.02) / 0.04
        )
