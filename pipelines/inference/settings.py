"""How clips go through models; no torch is loaded for it."""

from dataclasses import dataclass
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pipelines.runtime.pool import Pool

TRAINING_SUBSETS = ("strong", "synthetic", "weak", "unlabeled")


@dataclass(frozen=True, kw_only=True)
class CalibrationSettings:
    """On how much audio the encoder's standardisation is fitted."""

    # At most so many clips, drawn at random.
    clips: int = 400
    # The beginning of each.
    seconds_per_clip: float = 10.0
    # Which clips may be drawn: those of training, so that nothing is learnt from test clips.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # At recordings of a lower rate than a pretrained encoder has learnt from: they lack the upper
    # part of what it listens to, whatever they are resampled to.
    low_rates: Literal["fail", "resample"] = "fail"
    # Of the draw.
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """How clips go through a model: in windows, several at a time."""

    # Longer clips go through in windows of this length,
    window_s: float = 10.0

    # which overlap by so much, and fade into each other.
    overlap_s: float = 2.0
    # Clips of one length that go through together; None finds out how many pay.
    batch: int | None = None
    # Share of a GPU for each worker, where there are GPUs: decoding takes several workers.
    gpus_per_worker: float = 0.25
    # Workers at least and at most, such as 2 16; None: as many as there is room for.
    workers: tuple[int, int] | None = None
    # A file of frames ends when it is larger than this; a clip is never cut.
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
        return Pool(gpus=self.gpus_per_worker, workers=self.workers)

    def of_results(self) -> "InferenceSettings":
        """Without who does the work: with other workers, what is done already stays."""
        return at_defaults(self, "gpus_per_worker", "workers")
