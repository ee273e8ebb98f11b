"""What each worker of a training or a fit takes of a cluster, and how many there can be."""

import logging
from dataclasses import dataclass

from cluster.resources import Amounts, Room
from pipelines.runtime.errors import PipelineError

GB = 1e9
# One number of workers, or the smallest and the largest.
Count = int | tuple[int, ...]
# Settings that say who does the work: with others, what is done already stays.
OF_WORKERS = ("workers", "cpus_per_worker", "gpus_per_worker", "memory_gb_per_worker")
log = logging.getLogger("pmam")


class RoomError(PipelineError):
    """More than a cluster can ever have; the message is one line, with the numbers."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The workers of a stage, as its settings ask for them."""

    # 0: on one machine this process does the work, on a cluster one worker: the driver is slow
    # there, and may be in the way on its head.
    workers: Count = 0
    cpus: float | None = None  # of each; None: its share of a node
    gpus: float | None = None  # of each; None: one where there are GPUs, or may come
    memory_gb: float = 0.0  # of each, that Ray keeps free for it; 0: none is

    def __post_init__(self) -> None:
        if isinstance(self.workers, tuple):
            if len(self.workers) != 2 or not 1 <= self.workers[0] <= self.workers[1]:
                raise PipelineError(
                    f"workers: got {','.join(map(str, self.workers))}; expected one number, or the "
                    "smallest and the largest, such as 1,4"
                )
        elif self.workers < 0:
            raise PipelineError(f"workers: got {self.workers}; expected 0 or more")
        if (self.cpus is not None and not self.cpus > 0) or self.memory_gb < 0:
            raise PipelineError(
                f"{self.cpus} CPUs and {self.memory_gb:g} GB per worker: expected CPUs above 0, "
                "and 0 or more memory"
            )
        gpus = self.gpus or 0.0
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            raise PipelineError(
                f"{gpus:g} GPUs per worker: expected a share up to 1, or a whole number"
            )

    def count(self, *, on_cluster: bool) -> Count:
        """How many workers there are; 0: this process."""
        return 1 if on_cluster and self.workers == 0 else self.workers

    def each(self, room: Room, count: Count) -> Amounts:
        """What each of so many workers takes, by Ray's names."""
        gpus = self.gpus
        if gpus is None:
            gpus = 1.0 if room.most("GPU") >= 1 else 0.0
        taken = {"CPU": self.cpus or _share_of_node(room, gpus, _largest(count)), "GPU": gpus}
        taken["memory"] = self.memory_gb * GB
        return {name: amount for name, amount in taken.items() if amount}


def check_room(stage: str, room: Room, each: Amounts, count: Count) -> None:
    """Say what a group of workers waits for; refuse it where that never comes.

    Raises:
        RoomError: not even the smallest number can ever be there.
    """
    least = count[0] if isinstance(count, tuple) else count
    fits, may_fit = room.fits(each), room.may_fit(each)
    if fits >= least:
        return
    asked = f"{stage} asks for {least} workers of {told(each)}"
    has = f"the cluster has {_all_of(room, each)}, room for {fits}"
    if may_fit >= least:
        log.warning(
            "%s; %s, and its autoscaler may bring room for %d: waiting for it", asked, has, may_fit
        )
        return
    grows = (
        f"with all that its autoscaler may bring there is room for {may_fit}"
        if room.groups
        else "it has no autoscaler to bring more"
    )
    raise RoomError(
        f"{asked}; {has}, and {grows}: ask for fewer or smaller workers, or for a larger cluster"
    )


def told(amounts: Amounts) -> str:
    """Resources in words."""
    said = []
    for name, amount in amounts.items():
        said.append(f"{amount / GB:.3g} GB" if name == "memory" else f"{amount:g} {name}")
    return " + ".join(said)


def _all_of(room: Room, each: Amounts) -> str:
    """What there is of the same kinds."""
    return told({name: room.now(name) for name in each})


def _largest(count: Count) -> int:
    return count[-1] if isinstance(count, tuple) else count


def _share_of_node(room: Room, gpus: float, workers: int) -> int:
    """CPUs of a worker such that so many workers use all nodes, and each has as much as it can."""
    name = "GPU" if gpus else "CPU"
    shapes = room.shapes(name)
    if not shapes:
        return 1
    smallest = min(node.get("CPU", 1.0) for node, _ in shapes)
    nodes = sum(count for _, count in shapes)
    of_each = -(-workers // nodes)  # on one node, rounded up
    return max(1, int(smallest // of_each))
