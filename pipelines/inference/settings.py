"""How clips go through models; no torch is loaded for it."""

from dataclasses import dataclass
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.runtime.workers.crew import OF_WORKERS
from pipelines.runtime.workers.pool import Pool
from shards.clip import TRAINING_SUBSETS


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """On how much audio the encoder's standardisation is fitted."""

    # Largest number of clips to calibrate on, drawn at random.
    clips: int = 400
    # Length of what is read of each clip, from its beginning.
    seconds_per_clip: float = 10.0
    # Subsets to draw calibration clips from: training ones, so that nothing is learnt from test
    # clips.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # What to do at recordings whose sample rate is lower than the pretrained encoder's: fail, or
    # resample them, which leaves the encoder's upper frequencies empty.
    low_rates: Literal["fail", "resample"] = "fail"
    # Random seed for sampling calibration clips.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How clips go through a model: in windows, several at a time."""

    # Length of the windows that longer clips are cut into.
    window_s: float = 10.0
    # Overlap of neighbouring windows, in which they fade into each other.
    overlap_s: float = 2.0
    # Number of clips in a batch; by default as many as make it faster and fit.
    batch: int | None = None
    # Share of a GPU for each worker, where there are GPUs; decoding keeps several workers busy.
    gpus_per_worker: float = 0.25
    # CPUs of each worker, and so its threads.
    cpus_per_worker: float = 1.0
    # Memory that Ray keeps free for each worker; 0 for none.
    memory_gb_per_worker: float = 0.0
    # Smallest and largest number of workers, such as 2 16; by default as many as fit.
    workers: tuple[int, int] | None = None
    # Size at which a file of frames ends and the next begins; no clip is cut.
    file_mb: float = 1024.0

    def __post_init__(self) -> None:
        if (self.batch is not None and self.batch < 1) or not self.file_mb > 0:
            raise PipelineError(
                f"batches of {self.batch}, files of {self.file_mb:g} MB: expected batches of 1 or "
                "more, or none given, and a positive size"
            )
        self.pool()  # says what is wrong with it

    def pool(self) -> Pool:
        """The workers that are asked for."""
        return Pool(
            cpus=self.cpus_per_worker,
            gpus=self.gpus_per_worker,
            memory_gb=self.memory_gb_per_worker,
            workers=self.workers,
        )

    def of_results(self) -> "InferenceSettings":
        """Without who does the work: with other workers, what is done already stays."""
        return at_defaults(self, *OF_WORKERS)
