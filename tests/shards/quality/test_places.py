"""Runs are found however a clip is cut into blocks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.quality.places import places

RATE_HZ = 100  # a window is 5 samples


def longest(values: np.ndarray, wanted: float) -> tuple[int, int]:
    best = (0, 0)
    for start in range(len(values)):
        stop = start
        while stop < len(values) and values[stop] == wanted:
            stop += 1
        if stop - start > best[1] - best[0]:
            best = start, stop
    return best


@settings(deadline=None, max_examples=60)
@given(
    samples=st.lists(st.sampled_from([1.0, -1.0, 0.0, 0.0, 0.3]), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_places_of_any_blocks(samples: list[float], cuts: list[int]) -> None:
    clip = np.array(samples, np.float32)
    blocks = np.split(clip, sorted(min(cut, len(clip)) for cut in cuts))
    found = places(iter(blocks), RATE_HZ)
    runs = [longest(clip, limit) for limit in (1.0, -1.0)]
    lengths = [stop - start for start, stop in runs]
    clipped = [round(time * RATE_HZ) for time in found.clipped_s]
    assert clipped[1] - clipped[0] == max(lengths)
    if max(lengths):
        assert len(set(clip[clipped[0] : clipped[1]])) == 1
    windows = clip[: len(clip) - len(clip) % 5].reshape(-1, 5)
    start, stop = longest((windows == 0).all(axis=1).astype(float), 1.0)
    assert found.silent_s == pytest.approx((start * 0.05, stop * 0.05))
    if len(windows):
        loudest = np.square(windows).sum(axis=1)
        assert loudest[round(found.loudest_s[0] / 0.05)] == pytest.approx(loudest.max())
