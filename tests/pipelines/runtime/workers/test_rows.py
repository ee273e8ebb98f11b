"""Workers stay from one job to the next, hold what the job at hand needs, and may die."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from ray import cloudpickle

from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.rows import _in_kept_process, through_workers

# Workers do not find modules of tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

ROWS = [{"x": x} for x in range(12)]


class Weighted:
    """Stands for a model: built once, and told apart by its weight."""

    def __init__(self, weight: int) -> None:
        self.weight, self.built_at = weight, time.time()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "y": row["x"] * self.weight, "at": self.built_at, "process": os.getpid()}


class Mortal:
    """Dies at one row, once."""

    def __init__(self, folder: str) -> None:
        self.mark = Path(folder) / "died"

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["x"] == 7 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {**row, "process": os.getpid()}


class Faulty:
    """Fails at one row while others are at work."""

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["x"] == 0:
            raise ValueError("no")
        time.sleep(60)
        return row


def by(weight: int) -> list[dict[str, Any]]:
    found = [*through_workers(ROWS, Weighted, {"weight": weight}, Pool())]
    assert sorted(row["y"] for row in found) == [row["x"] * weight for row in ROWS]
    return found


def test_the_second_job_begins_at_once_with_its_own_model(ray_session: None) -> None:
    by(3)
    for weight in (5, 7):
        began = time.time()
        found = by(weight)
        assert min(row["at"] for row in found) - began < 1


def test_a_killed_worker_costs_no_row(ray_session: None, tmp_path: Path) -> None:
    found = [*through_workers(ROWS, Mortal, {"folder": str(tmp_path)}, Pool())]
    assert (tmp_path / "died").exists()
    assert sorted(row["x"] for row in found) == [row["x"] for row in ROWS]


def test_processes_of_a_job_that_ended_early_are_not_used_again(ray_session: None) -> None:
    before = {row["process"] for row in by(2)}
    with pytest.raises(Exception, match="no"):
        [*through_workers(ROWS, Faulty, {}, Pool())]
    assert not {row["process"] for row in by(3)} & before


def test_a_process_keeps_one_model_and_builds_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(job: str, weight: int) -> dict[str, Any]:
        return _in_kept_process({"x": 1}, job, Weighted, {"weight": weight}, None)

    threads = torch.get_num_threads()
    first = made("a", 2)
    assert made("a", 2) == first
    other = made("b", 3)
    assert (other["y"], made("a", 2)["y"]) == (3, 2)
    assert made("a", 2)["at"] > other["at"]  # made anew, since one alone is kept
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads + 1))
        made("a", 2)
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
