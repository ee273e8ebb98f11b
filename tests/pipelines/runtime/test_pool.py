"""How many workers a job gets, and which share of a GPU."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.inference.settings import InferenceSettings
from pipelines.runtime.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.runtime.pool import Pool
from pipelines.runtime.stage import Stage, run_stage

LAPTOP = {"CPU": 3.0}
SERVER = {"CPU": 17.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("pool", "plans", "resources", "expected"),
    [
        (Pool(), 100, LAPTOP, (2, 2, 0)),  # one CPU stays free
        (Pool(), 1, LAPTOP, (1, 1, 0)),
        (Pool(), 9, {}, (1, 1, 0)),
        (Pool(gpus=0.25), 100, LAPTOP, (2, 2, 0)),  # no GPU: nothing to share
        (Pool(), 100, SERVER, (16, 16, 0)),  # work that needs none
        (Pool(gpus=0.25), 100, SERVER, (8, 8, 0.25)),
        (Pool(gpus=0.4), 100, SERVER, (4, 4, 0.4)),  # two on each, not five on both
        (Pool(gpus=0.25), 3, SERVER, (3, 3, 0.25)),
        (Pool(gpus=2), 100, SERVER, (1, 1, 2)),
        (Pool(gpus=0.01), 100, SERVER, (16, 16, 0.01)),  # CPUs are the limit
        (Pool(workers=(1, 64)), 100, LAPTOP, (1, 64, 0)),  # more CPUs may come
        (Pool(workers=(8, 64)), 100, LAPTOP, (2, 64, 0)),  # none waits for them
        (Pool(workers=(2, 64)), 5, SERVER, (2, 5, 0)),
    ],
)
def test_sizes(
    pool: Pool, plans: int, resources: dict[str, float], expected: tuple[int, int, float]
) -> None:
    assert pool.size(plans, resources) == expected


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="the cluster has 2"):
        Pool(gpus=4).size(9, SERVER)
    for refused in ({"gpus": 1.5}, {"gpus": -1}, {"workers": (0, 2)}, {"workers": (3, 2)}):
        with pytest.raises(ValueError, match="expected"):
            Pool(**refused)
    for refused in ({"batch": 0}, {"file_mb": 0}, {"gpus_per_worker": 1.5}, {"workers": (2, 1)}):
        with pytest.raises(ValueError, match="expected"):
            InferenceSettings(**refused)


@dataclass(frozen=True)
class Nothing:
    """No settings."""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(1, 8), (8, 8), None])
def test_a_pool_that_may_outgrow_the_machine_does_everything(
    ray_session: None, tmp_path: Path, workers: tuple[int, int] | None
) -> None:
    """Ray would wait for ever for workers that have no CPU."""

    class Worker:  # in here, so that it travels by value: workers do not know the tests
        def __call__(self, plan: ShardTask) -> ShardResult:
            time.sleep(0.05)
            return {"outputs": [], "number": plan["number"], "process": os.getpid()}

    plans = {str(number): {"number": number} for number in range(12)}
    found: list[ShardResult] = []

    def work(stage: Stage) -> dict[str, int]:
        pool = Pool(workers=workers, gpus=0.5)
        weights = dict.fromkeys(plans, 1)
        found.extend(run_shards(stage, plans, Worker, {}, weights=weights, pool=pool))
        return {}

    run_stage("pool", str(tmp_path / "out"), work, settings=Nothing(), inputs={}, version=1)
    assert [part["number"] for part in found] == list(range(12))
    assert os.getpid() not in {part["process"] for part in found}
