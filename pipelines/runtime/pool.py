"""How many workers a job has, and their share of GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.runtime.errors import PipelineError


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The workers of a job."""

    # Share of a GPU for each of them, where the cluster has GPUs; more than one: a whole number.
    gpus: float = 0.0
    # Smallest and largest number; None: as many as there is room for.
    workers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise PipelineError(
                f"{self.gpus:g} GPUs per worker: expected a share up to 1, or a whole number"
            )
        if self.workers is not None and not 1 <= self.workers[0] <= self.workers[1]:
            raise PipelineError(
                f"{self.workers[0]} to {self.workers[1]} workers: expected at least one, and the "
                "smaller number first"
            )

    def size(self, tasks: int, resources: Mapping[str, float]) -> tuple[int, int, float]:
        """At least and at most so many workers for so many tasks, and the GPUs of each.

        Args:
            tasks: what is to be done.
            resources: `CPU` and `GPU` of the cluster, as Ray tells them.

        Raises:
            PipelineError: the cluster has fewer GPUs than one worker shall have.
        """
        # A pool that takes every CPU waits for ever on the tasks that feed it.
        room = max(1, int(resources.get("CPU", 1)) - 1)
        gpus, there = self.gpus, resources.get("GPU", 0)
        if not there:
            gpus = 0.0
        elif gpus > there:
            raise PipelineError(
                f"{gpus:g} GPUs per worker, but the cluster has {there:g}; ask for less"
            )
        elif gpus:
            of_each = int(1 / gpus + 1e-9) if gpus < 1 else 1 / gpus
            room = min(room, int(of_each * there + 1e-9))
        least, most = self.workers or (room, room)
        # More than there is room for now may come, on a cluster that grows; none waits for it.
        return min(least, room, tasks), min(most, tasks), gpus
