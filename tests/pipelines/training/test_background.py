"""Batches made in another thread, ahead of their use."""

import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from pipelines.training.examples import (
    in_background,
)


def test_batches_come_in_order_from_another_thread() -> None:
    threads = set()

    def made() -> Iterator[int]:
        for step in range(3, 9):
            threads.add(threading.get_ident())
            yield step * step

    assert list(in_background(made())) == [9, 16, 25, 36, 49, 64]
    assert list(in_background(iter([]))) == []
    assert threading.get_ident() not in threads


def test_an_error_comes_at_its_step() -> None:
    def made() -> Iterator[int]:
        for step in range(9):
            if step == 4:
                raise ValueError("clip 4 is broken")
            yield step

    batches = in_background(made())
    assert [next(batches) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="clip 4 is broken"):
        next(batches)


def test_no_more_than_asked_is_read_ahead_and_the_source_is_closed() -> None:
    seen: list[int] = []
    ended = []

    def made() -> Iterator[int]:
        try:
            for step in range(100):
                seen.append(step)
                yield step
        finally:
            ended.append(True)

    batches = in_background(made(), ahead=2)
    assert next(batches) == 0
    batches.close()  # type: ignore[attr-defined]
    assert max(seen) <= 2
    assert ended == [True]


@pytest.mark.timeout(60)
def test_what_is_read_in_background_ends_when_it_is_collected_as_garbage() -> None:
    """As after an error, whose traceback holds it: to wait for its thread would be for ever."""
    closed = []

    def numbers() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(True)

    for _ in range(20):
        holder = SimpleNamespace(batches=in_background(numbers()))
        holder.itself = holder
        assert next(holder.batches) == 0
        del holder
        gc.collect()
    assert len(closed) == 20
