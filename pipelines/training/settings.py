"""What every training needs to know: steps, batches, and how they are computed."""

import math
from dataclasses import dataclass, field

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.runtime.workers.crew import OF_WORKERS, Crew
from pmam.training.settings import OptimizerSettings, Precision


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What every training needs to know."""

    # Steps, learning rates and their schedule.
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    # Length of a training example; longer clips are cropped, shorter ones padded.
    crop_s: float = 10.0
    # Number of clips of each subset in a batch, over all workers.
    batch: dict[str, int] = field(default_factory=lambda: {"strong": 8, "weak": 8, "unlabeled": 8})
    # Number of parts that a worker's batch is computed in, one after the other, to save memory.
    accumulate: int = 1
    # Number format of matrix products; weights and losses stay in float32.
    precision: Precision = "float32"
    # Compile the blocks of the networks: a minute at the start, faster steps on a GPU.
    compile: bool = False
    # Size of a local cache of clips, for datasets in an object store; 0 for none.
    cache_gb: float = 0.0
    # Number of Ray Train workers, which take 20 to 40 s to start, or the smallest and the largest
    # number (1,4), between which the training grows and shrinks with the cluster; 0 trains in this
    # process, or on a cluster in one worker.
    workers: int | tuple[int, ...] = 0
    # CPUs of each worker, and so its threads; by default its share of a node.
    cpus_per_worker: float | None = None
    # GPUs of each worker, or a share of one; by default 1 where the cluster has GPUs, or may get
    # them.
    gpus_per_worker: float | None = None
    # Memory that Ray keeps free for each worker; 0 for none.
    memory_gb_per_worker: float = 0.0
    # Steps between two checkpoints.
    checkpoint_every: int = 50
    # Random seed for weights, order of clips, crops, masks and dropout.
    seed: int = 0

    def __post_init__(self) -> None:
        if self.accumulate < 1 or self.checkpoint_every < 1:
            raise PipelineError(
                f"accumulate {self.accumulate}, checkpoint_every {self.checkpoint_every}: expected "
                "at least 1 and 1"
            )
        _ = self.crew  # says what is wrong with it
        if not 0 < self.crop_s < math.inf or self.cache_gb < 0:
            raise PipelineError(
                f"crop_s {self.crop_s}, cache_gb {self.cache_gb}: expected a positive length, and "
                "0 or more"
            )
        if min(self.batch.values(), default=0) < 0 or not any(self.batch.values()):
            raise PipelineError(
                f"batch {self.batch}: expected 0 or more clips of each subset, and some in all"
            )

    @property
    def crew(self) -> Crew:
        """The workers that are asked for."""
        return Crew(
            workers=self.workers,
            cpus=self.cpus_per_worker,
            gpus=self.gpus_per_worker,
            memory_gb=self.memory_gb_per_worker,
        )

    @property
    def identity(self) -> "TrainSettings":
        """The same without what only says how it is computed.

        A training that was killed goes on under other ones: on more workers, or in smaller parts.
        """
        how = ("accumulate", "compile", "cache_gb", "checkpoint_every")
        return at_defaults(self, *how, *OF_WORKERS)
