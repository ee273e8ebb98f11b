"""How many workers a job gets, and which share of a GPU."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.resources import NodeGroup, Room
from pipelines.inference.settings import InferenceSettings
from pipelines.runtime.stage import Stage, run_stage
from pipelines.runtime.workers.crew import RoomError
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.runtime.workers.pool import Pool

LAPTOP = Room(nodes=({"CPU": 3.0},))
SERVER = Room(nodes=({"CPU": 17.0, "GPU": 2.0},))
SMALL = Room(nodes=({"CPU": 2.0}, {"CPU": 2.0}))
# A head without CPUs, and nodes that are started when they are asked for.
CPU_GROUP = NodeGroup(name="cpu", each={"CPU": 4.0, "memory": 16e9}, most=8)
GPU_GROUP = NodeGroup(name="gpu", each={"CPU": 8.0, "GPU": 1.0}, most=3)
EMPTY = Room(nodes=({"memory": 8e9},), groups=(CPU_GROUP, GPU_GROUP))


@pytest.mark.parametrize(
    ("pool", "plans", "room", "expected"),
    [
        (Pool(), 100, LAPTOP, (2, 2, 0)),  # one CPU stays free
        (Pool(), 1, LAPTOP, (1, 1, 0)),
        (Pool(), 9, Room(nodes=()), (1, 1, 0)),
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
        (Pool(cpus=2), 100, SMALL, (1, 1, 0)),  # the other one feeds it
        (Pool(), 100, EMPTY, (1, 56, 0)),  # all that may come
        (Pool(gpus=0.5), 100, EMPTY, (1, 6, 0.5)),  # GPUs that nobody has asked for yet
        (Pool(gpus=0.5, workers=(1, 4)), 100, EMPTY, (1, 4, 0.5)),
        (Pool(memory_gb=8), 100, EMPTY, (1, 16, 0)),
    ],
)
def test_sizes(pool: Pool, plans: int, room: Room, expected: tuple[int, int, float]) -> None:
    size = pool.size(plans, room)
    assert (size.least, size.most, size.each.get("GPU", 0)) == expected
    assert size.each["CPU"] == pool.cpus
    assert size.each.get("memory", 0) == pool.memory_gb * 1e9


@pytest.mark.parametrize(
    ("pool", "room", "said"),
    [
        (Pool(gpus=4), SERVER, "1 CPU \\+ 4 GPU fits on no node.*17 CPU \\+ 2 GPU"),
        (Pool(gpus=2), EMPTY, "fits on no node"),  # two nodes have one each
        (Pool(cpus=3), SMALL, "3 CPU fits on no node: in all, the cluster has 4 CPU"),
        (Pool(memory_gb=20), EMPTY, "20 GB fits on no node"),
    ],
)
def test_what_no_node_can_hold(pool: Pool, room: Room, said: str) -> None:
    with pytest.raises(RoomError, match=said):
        pool.size(9, room)


def test_what_cannot_be() -> None:
    for refused in (
        {"gpus": 1.5},
        {"gpus": -1},
        {"workers": (0, 2)},
        {"workers": (3, 2)},
        {"cpus": 0},
    ):
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
