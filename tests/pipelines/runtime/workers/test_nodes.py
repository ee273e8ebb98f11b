"""Nodes that run something else get no work, and none is done by one that joined later."""

import errno
import sys

import pytest
from ray import cloudpickle

from cluster.node_code import Checked, OtherCodeError, report
from pipelines.runtime.errors import user_error
from pipelines.runtime.files.room import NoRoomError
from pipelines.runtime.workers.nodes import (
    MODULES,
    PACKAGES,
    Guarded,
    answer,
    expected,
    selector,
    taking_part,
)
from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.rows import through_workers
from pipelines.runtime.workers.worker_group import _named
from shards.errors import explained

# Workers do not find modules of tests.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class Doubling:
    def __init__(self, by: int) -> None:
        self.by = by

    def __call__(self, row: dict[str, int]) -> dict[str, int]:
        return {"x": row["x"] * self.by}


def test_outside_of_a_check_all_nodes_take_part() -> None:
    assert (selector(), expected()) == (None, None)
    with taking_part(Checked(expected={"a": "b"}, left_out=("1", "2"))):
        assert selector() == {"ray.io/node-id": "!in(1,2)"}
        assert expected() == {"a": "b"}
    assert (selector(), expected()) == (None, None)


def test_work_goes_past_nodes_that_are_left_out(ray_session: None) -> None:
    """Ray takes the selector: one that leaves out another node than this finds room."""
    here = report(MODULES, PACKAGES)
    with taking_part(Checked(expected=here, left_out=("0" * 56,))):
        found = [*through_workers([{"x": 2}], Doubling, {"by": 3}, Pool())]
    assert found == [{"x": 6}]


def test_a_worker_that_runs_something_else_does_nothing(ray_session: None) -> None:
    with (
        pytest.raises(Exception, match="joined the cluster") as failed,
        taking_part(Checked(expected={**report(MODULES, PACKAGES), "numpy": "1.0"})),
    ):
        [*through_workers([{"x": 2}], Doubling, {"by": 3}, Pool())]
    cause = user_error(failed.value)
    assert isinstance(cause, OtherCodeError)
    assert "instead of 1.0" in str(cause)


FULL = OSError(errno.ENOSPC, "No space left on device", "/scratch/shard.tar")


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, row: dict[str, int]) -> dict[str, int]:
        try:
            raise self.error
        except OSError as error:
            raise explained("/scratch/shard.tar", error) from error


@pytest.mark.parametrize("error", [FULL, OSError(errno.EDQUOT, "Disk quota exceeded")])
def test_a_full_disk_of_a_node_is_told_with_the_node(error: OSError) -> None:
    """The driver cannot know which of them it was."""
    row = Guarded(Failing, {"error": error}, None)({"x": 1})
    with pytest.raises(NoRoomError, match=r"^node [\d.]+: /scratch/shard.tar: .*free some space"):
        answer(row)


def test_other_errors_of_an_actor_stay_what_they_are() -> None:
    with pytest.raises(ValueError, match=r"^no such thing$"):
        Guarded(Failing, {"error": ValueError("no such thing")}, None)({"x": 1})


def test_a_worker_of_a_group_tells_its_full_disk() -> None:
    def worker(config: dict[str, object]) -> None:
        raise FULL

    with pytest.raises(NoRoomError, match=r"^node [\d.]+: /scratch/shard.tar: No space"):
        _named(worker, {})
