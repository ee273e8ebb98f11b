"""Batches that are found: halved where memory ends, doubled as long as that pays."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.inference.batch_size import FIRST, GREATEST, ON_CPU, BatchSize

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Fake:
    """A model on a GPU that holds so many clips; each frame is the clip's first unit."""

    def __init__(self, holds: int) -> None:
        self.holds, self.batches = holds, list[int]()

    def __call__(self, units: np.ndarray) -> np.ndarray:
        self.batches.append(len(units))
        if len(units) > self.holds:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB")
        return units[:, :1, None]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40))
def test_a_batch_that_does_not_fit_goes_through_in_pieces(
    clips: int, given: int, holds: int
) -> None:
    model, size = Fake(holds), BatchSize(given, CPU)
    units = np.arange(clips * 3, dtype=np.float32).reshape(clips, 3)
    np.testing.assert_array_equal(size.run(model, units)[:, 0, 0], units[:, 0])
    assert size.size <= max(given, holds)
    refused = [batch for batch in model.batches if batch > holds]
    assert len(refused) <= 6  # each half of the one before
    model.batches.clear()
    size.run(model, units)
    assert max(model.batches) <= holds  # what was learnt stays


def test_a_single_clip_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"one clip .* Tried to allocate .* --inference.window-s"):
        BatchSize(8, CPU).run(Fake(0), np.zeros((8, 3), np.float32))


def test_a_given_size_and_that_of_a_cpu_stay() -> None:
    for size, expected in ((BatchSize(3, GPU), 3), (BatchSize(None, CPU), ON_CPU)):
        for _ in range(10):
            size.observe(size.size, 100, 1e-3)
        assert size.size == expected


def grown(rate: Callable[[int], float], memory: Callable[[int], float]) -> BatchSize:
    """After 60 full batches of a GPU with such a rate and share of memory in use."""
    size = BatchSize(None, GPU)
    size._memory = lambda: memory(size.size)  # type: ignore[method-assign]
    for number in range(60):
        warm_up = 3.0 if number == 0 else 0.0
        size.observe(size.size, 160_000, warm_up + size.size / rate(size.size))
        size.observe(size.size - 1, 160_000, 10.0)  # the last ones of a shard say nothing
    return size


def test_it_grows_while_clips_pass_faster() -> None:
    found = grown(lambda clips: 100.0 * min(clips, 64), lambda _: 0.0)
    assert (found.size, found.growing) == (64, False)
    assert grown(lambda _: 100.0, lambda _: 0.0).size == FIRST
    assert grown(lambda clips: clips, lambda _: 0.0).size == GREATEST


def test_it_stops_before_memory_ends() -> None:
    found = grown(lambda clips: clips, lambda clips: clips / 100)
    assert (found.size, found.growing) == (64, False)


def test_out_of_memory_ends_growth() -> None:
    size = BatchSize(None, GPU)
    size._memory = lambda: 0.0  # type: ignore[method-assign]
    model = Fake(20)
    for _ in range(20):
        size.run(model, np.zeros((64, 3), np.float32))
    assert size.size <= 20
    assert not size.growing
    assert max(model.batches[-10:]) <= 20


def test_rates_of_clips_of_other_lengths_are_not_compared() -> None:
    size = BatchSize(None, GPU)
    size._memory = lambda: 0.0  # type: ignore[method-assign]
    for length in (1000, 2000, 1000, 2000):
        size.observe(FIRST, length, 1.0)
    assert size.size == FIRST
    for _ in range(2):
        size.observe(FIRST, 3000, 1.0)
    assert size.size == 2 * FIRST
