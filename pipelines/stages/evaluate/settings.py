"""What can be chosen of an evaluation: no torch is loaded for it."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pmam.events.settings import PostprocessOverrides
from pmam.metrics.settings import FAMILY_NAMES, ChoiceSettings, MetricSettings


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(PostprocessOverrides):
    """Which clips are evaluated, and what is done to their scores other than by the detector."""

    # Subsets to evaluate on; their clips need strong labels.
    subsets: tuple[str, ...] = ("test",)
    # Draw the values per class and some example clips.
    pictures: bool = True
    # Classes to evaluate; by default those of the dataset, or of the table's events.
    classes: tuple[str, ...] = ()
    # What to do where truth or scores lack a clip or a class: error; zero, for which lacking scores
    # mean that nothing was detected, and what has no truth is left out; drop leaves both out.
    on_missing: Literal["error", "zero", "drop"] = "error"
    # Confidence above which soft labels of a truth table are events.
    soft_threshold: float = 0.5
    # Families of metrics: psds, event, segment, intersection, clip, frame_ranking,
    # segment_ranking, clip_ranking; by default all.
    metrics: tuple[str, ...] = ()
    # Number of bootstrap resamples of the recordings, which intervals are taken from; 0: no
    # intervals.
    resamples: int = 1000
    # Part of the resamples that an interval holds.
    level: float = 0.95
    # Random seed of the resamples.
    seed: int = 0
    # Tolerances and limits of the metrics.
    metric: MetricSettings = field(default_factory=MetricSettings)
    # Post-processing that is chosen on these clips.
    choose: ChoiceSettings = field(default_factory=ChoiceSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [name for name in self.metrics if name not in FAMILY_NAMES]:
            raise PipelineError(
                f"metrics: got {unknown[0]!r}; expected some of {', '.join(FAMILY_NAMES)}"
            )
        if self.resamples < 0 or not 0 < self.level < 1:
            raise PipelineError(
                f"resamples {self.resamples}, level {self.level}: expected 0 or more, and a level "
                "between 0 and 1"
            )
