"""What workers of a training take, and what is said where a cluster has less."""

import logging
from typing import Any

import pytest

from cluster.resources import NodeGroup, Room
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.workers.crew import Count, Crew, RoomError, check_room
from pipelines.stages.fit.settings import FitSettings
from pipelines.training.settings import TrainSettings

CPUS = Room(nodes=({"CPU": 2.0}, {"CPU": 2.0}))
GPUS = Room(nodes=({"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0, "GPU": 4.0}))
GPU_GROUP = NodeGroup(name="gpu", each={"CPU": 8.0, "GPU": 1.0, "memory": 32e9}, most=4)
GROWING = Room(nodes=({"CPU": 4.0},), groups=(GPU_GROUP,))


@pytest.mark.parametrize(
    ("crew", "room", "count", "expected"),
    [
        (Crew(), CPUS, 1, {"CPU": 2}),  # a node
        (Crew(), CPUS, 2, {"CPU": 2}),
        (Crew(), CPUS, 3, {"CPU": 1}),
        (Crew(), CPUS, 30, {"CPU": 1}),  # too many, which is told
        (Crew(), CPUS, (1, 4), {"CPU": 1}),  # all have room
        (Crew(), GPUS, 8, {"CPU": 4, "GPU": 1}),
        (Crew(), GPUS, 1, {"CPU": 16, "GPU": 1}),
        (Crew(), GROWING, 4, {"CPU": 8, "GPU": 1}),  # GPUs that nobody has asked for yet
        (Crew(gpus=0), GROWING, 4, {"CPU": 1}),
        (Crew(cpus=3, gpus=0.5, memory_gb=2), CPUS, 1, {"CPU": 3, "GPU": 0.5, "memory": 2e9}),
    ],
)
def test_what_each_worker_takes(
    crew: Crew, room: Room, count: Count, expected: dict[str, float]
) -> None:
    assert crew.each(room, count) == expected


def test_threads_on_this_machine_are_its_cores() -> None:
    """A session here has one CPU more than the machine, for what feeds pools."""
    here = Room(nodes=({"CPU": 3.0},)).with_one_less()
    assert [Crew().each(here, count)["CPU"] for count in (1, 2)] == [2, 1]
    one = Room(nodes=({"CPU": 1.0, "memory": 1e9},)).with_one_less()
    assert one.nodes == ({"CPU": 1.0, "memory": 1e9},)


def test_no_worker_is_one_on_a_cluster() -> None:
    """A driver would train there on one thread, and on the head."""
    assert [Crew().count(on_cluster=there) for there in (False, True)] == [0, 1]
    assert [Crew(workers=3).count(on_cluster=there) for there in (False, True)] == [3, 3]
    assert Crew(workers=(1, 4)).count(on_cluster=True) == (1, 4)


def test_more_workers_than_there_can_be(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(RoomError) as refused:
        check_room("pretrain-1", CPUS, {"CPU": 1}, 30)
    assert str(refused.value) == (
        "pretrain-1 asks for 30 workers of 1 CPU; the cluster has 4 CPU, room for 4, and it has no "
        "autoscaler to bring more: ask for fewer or smaller workers, or for a larger cluster"
    )
    with pytest.raises(RoomError, match="autoscaler may bring there is room for 4: ask for fewer"):
        check_room("finetune", GROWING, {"CPU": 8, "GPU": 1}, 5)
    with pytest.raises(RoomError, match=r"5 workers of 1 CPU \+ 20 GB"):
        check_room("finetune", GROWING, {"CPU": 1, "memory": 20e9}, (5, 9))
    assert caplog.messages == []


def test_workers_that_are_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pmam"):
        check_room("finetune", GROWING, {"CPU": 8, "GPU": 1}, (2, 8))
        check_room("finetune", GROWING, {"CPU": 1}, 2)  # these are there
    assert caplog.messages == [
        "finetune asks for 2 workers of 8 CPU + 1 GPU; the cluster has 4 CPU + 0 GPU, room for 0, "
        "and its autoscaler may bring room for 4: waiting for it"
    ]


def test_room_is_counted_by_node() -> None:
    """Eight CPUs of which no node has three hold no worker of three."""
    room = Room(nodes=({"CPU": 2.0},) * 4)
    assert [room.fits({"CPU": each}) for each in (1, 2, 3)] == [8, 4, 0]
    thirds = Room(nodes=({"CPU": 9.0, "GPU": 1.0},) * 2)
    assert thirds.fits({"CPU": 1, "GPU": 1 / 3}) == 6
    assert thirds.fits({"CPU": 1, "GPU": 0.4}) == 4
    assert thirds.fits({"CPU": 1, "GPU": 2}) == 0


@pytest.mark.parametrize("settings", [TrainSettings, FitSettings])
@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": -1},
        {"workers": (2, 1)},
        {"workers": (0, 3)},
        {"workers": (1, 2, 3)},
        {"cpus_per_worker": 0.0},
        {"gpus_per_worker": 1.5},
        {"gpus_per_worker": -1.0},
        {"memory_gb_per_worker": -1.0},
    ],
)
def test_what_cannot_be_chosen(settings: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(PipelineError, match="expected"):
        settings(**wrong)


@pytest.mark.parametrize("settings", [TrainSettings, FitSettings])
def test_who_does_the_work_is_no_part_of_what_is_done(settings: Any) -> None:
    other = settings(workers=(1, 4), cpus_per_worker=2, gpus_per_worker=1, memory_gb_per_worker=3)
    assert other.identity == settings().identity
