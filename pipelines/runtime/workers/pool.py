"""How many workers a job of Ray Data has, and what each of them takes."""

from dataclasses import dataclass

from cluster.resources import Amounts, Room
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.workers.crew import GB, RoomError, told


@dataclass(frozen=True, kw_only=True)
class Size:
    """At least and at most so many workers, and what each takes, by Ray's names."""

    least: int
    most: int
    each: Amounts


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The workers of a job."""

    cpus: float = 1.0  # of each
    # Share of a GPU for each of them, where the cluster has GPUs or may get them; more than one: a
    # whole number.
    gpus: float = 0.0
    memory_gb: float = 0.0  # of each, that Ray keeps free for it
    # Smallest and largest number; None: as many as there is room for.
    workers: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise PipelineError(
                f"{self.gpus:g} GPUs per worker: expected a share up to 1, or a whole number"
            )
        if not self.cpus > 0 or self.memory_gb < 0:
            raise PipelineError(
                f"{self.cpus:g} CPUs and {self.memory_gb:g} GB per worker: expected CPUs above 0, "
                "and 0 or more memory"
            )
        if self.workers is not None and not 1 <= self.workers[0] <= self.workers[1]:
            raise PipelineError(
                f"{self.workers[0]} to {self.workers[1]} workers: expected at least one, and the "
                "smaller number first"
            )

    def size(self, tasks: int, room: Room) -> Size:
        """How many workers there are for so many tasks.

        Args:
            tasks: what is to be done.
            room: of the cluster.

        Raises:
            RoomError: the cluster can never hold one such worker.
        """
        gpus = self.gpus if room.most("GPU") else 0.0
        amounts = {"CPU": self.cpus, "GPU": gpus, "memory": self.memory_gb * GB}
        each = {name: amount for name, amount in amounts.items() if amount}
        if room.may_fit(each) < 1 and room.nodes:
            there = told({name: room.most(name) for name in each})
            raise RoomError(
                f"a worker of {told(each)} fits on no node: in all, the cluster has {there} with "
                "all that may come; ask for less, or for larger nodes"
            )
        # A pool that takes every CPU waits for ever on the tasks that feed it.
        free = int((room.now("CPU") - 1) / self.cpus + 1e-9)
        least_room = max(1, min(free, room.fits(each)))
        least, most = self.workers or (least_room, least_room)
        if self.workers is None and room.groups:  # those that may come are waited for by none
            most = max(least_room, room.may_fit(each))
        # More than there is room for now may come, on a cluster that grows; none waits for it.
        return Size(least=min(least, least_room, tasks), most=min(most, tasks), each=each)
