"""Batches that are scored at once, on threads: the numbers, their order and errors of `map`."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import tiny_models
import torch

from pmam.models.window_scores import AT_ONCE, side_by_side, stream_scores


@pytest.fixture(params=[1, 2, 8])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """What torch may use, as on a machine of so many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_scores_are_those_of_one_after_another(threads: int) -> None:
    detector = tiny_models.detector()
    wave = (0.1 * np.random.default_rng(0).standard_normal(16000 * 13)).astype(np.float32)
    blocks = np.array_split(wave, 7)
    options = {"window_s": 2.0, "overlap_s": 0.5, "batch": 2}
    found = [
        np.concatenate(list(stream_scores(detector, blocks, ahead=ahead, **options)))  # type: ignore[arg-type]
        for ahead in (False, True)
    ]
    assert np.abs(found[0] - found[1]).max() < 1e-6
    assert torch.get_num_threads() == threads


def test_results_come_in_order_while_batches_are_made(threads: int) -> None:
    made, at_once, most = [0], [0], [0]
    lock = threading.Lock()

    def apply(batch: np.ndarray) -> np.ndarray:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.002 * (5 - batch[0] % 5))  # later ones are done first
        with lock:
            at_once[0] -= 1
        return 2 * batch

    def batches() -> Iterator[np.ndarray]:
        for number in range(20):
            made[0] += 1
            yield np.array([number])

    ahead, results = [], []
    for result in side_by_side(apply, batches()):
        results.append(int(result[0]))
        ahead.append(made[0] - len(results))
    workers = min(threads, AT_ONCE)
    assert results == [2 * number for number in range(20)]
    assert max(ahead) <= (workers if workers > 1 else 0)  # memory stays bounded
    assert most[0] <= workers
    assert most[0] > 1 or workers == 1


def test_errors_of_either_side_come_through(threads: int) -> None:
    def fails(batch: np.ndarray) -> np.ndarray:
        if batch[0] == 3:
            raise ValueError("of a batch")
        return batch

    def breaks() -> Iterator[np.ndarray]:
        yield np.array([0])
        raise OSError("of the file")

    before = threading.active_count()
    with pytest.raises(ValueError, match="of a batch"):
        list(side_by_side(fails, (np.array([n]) for n in range(9))))
    with pytest.raises(OSError, match="of the file"):
        list(side_by_side(fails, breaks()))
    assert threading.active_count() == before
    assert torch.get_num_threads() == threads
