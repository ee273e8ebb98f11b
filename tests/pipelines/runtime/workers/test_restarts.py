"""Worker groups are started again where a worker died, and not where one refused its input."""

import pytest
from ray.exceptions import ActorDiedError
from ray.train import WorkerGroupError

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.workers.worker_group import WorkersDiedError, restarted


class Group:
    """A worker group that fails as it is told, one failure each time, and then does its work."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.starts = list(failures), 0

    def __call__(self) -> None:
        self.starts += 1
        if self.failures:
            raise WorkerGroupError("the group failed", {1: self.failures.pop(0)})


@pytest.mark.parametrize("failure", [ActorDiedError(), MemoryError(), RuntimeError("bug")])
def test_what_may_pass_is_tried_twice_more(failure: Exception) -> None:
    group = Group(failure, failure)
    restarted(group)
    assert group.starts == 3


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ActorDiedError(), WorkersDiedError),
        (MemoryError(), WorkersDiedError),
        (RuntimeError("CUDA out of memory"), WorkersDiedError),
        (RuntimeError("a bug"), WorkerGroupError),
    ],
)
def test_what_stays_ends_the_third_group(failure: Exception, told: type[Exception]) -> None:
    group = Group(*[failure] * 4)
    with pytest.raises(told):
        restarted(group)
    assert group.starts == 3


def test_what_a_worker_refuses_is_told_at_once() -> None:
    group = Group(PipelineError("no clips"))
    with pytest.raises(PipelineError, match="no clips"):
        restarted(group)
    assert group.starts == 1
