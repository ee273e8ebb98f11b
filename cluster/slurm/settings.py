"""What can be chosen of a batch script."""

import re
from dataclasses import dataclass

from cluster.errors import ClusterError

WORD = r"[\w.,:@%+=-]+"  # sbatch reads the lines of its options by rules of its own


class SlurmError(ClusterError, ValueError):
    """A script that cannot be made; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class SlurmSettings:
    """The allocation, and where its nodes have pmam."""

    # Number of nodes.
    nodes: int = 2
    # Partition; by default Slurm's.
    partition: str | None = None
    # Account that the time is charged to.
    account: str | None = None
    # Number of GPUs of each node; by default as many as the command asks for.
    gpus: int | None = None
    # Longest time, after which Slurm ends the job; sent again, it goes on.
    hours: float = 24.0
    # Folder of the virtual environment with pmam, which all nodes share.
    environment: str | None = None
    # Modules to load first.
    modules: tuple[str, ...] = ()
    # Further options of sbatch, as NAME=VALUE, such as constraint=a100.
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.nodes < 1 or (self.gpus or 0) < 0 or not self.hours > 0:
            raise SlurmError(
                f"--slurm.nodes {self.nodes}, gpus {self.gpus}, hours {self.hours:g}: expected at "
                "least one node, 0 or more GPUs, and a time"
            )
        named = {"partition": (self.partition,), "account": (self.account,)}
        for option, values in {**named, "options": self.options}.items():
            for value in values:
                if value is not None and not re.fullmatch(WORD, value):
                    raise SlurmError(f"--slurm.{option} {value!r}: expected one word for sbatch")
