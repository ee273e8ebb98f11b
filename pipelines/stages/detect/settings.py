"""What detection needs to know: windows, smoothing or boxes, and the threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pmam.events.median_filter import odd_frames
from pmam.events.settings import BoxSettings


class DetectError(PipelineError):
    """Files or settings that nothing can be detected with; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """From audio to events."""

    # Lowest smoothed probability of an event's frames, or lowest confidence of a box.
    threshold: float = 0.5
    # How events are found: a running median of each class's probabilities, the running maximum of
    # that median, or boxes of one confidence each where the probabilities change (arXiv
    # 2406.04212). Boxes hold a file's scores in memory: 14 MB for an hour of ten classes.
    method: Literal["median", "max", "boxes"] = "median"
    # Length of the median (and maximum) filter.
    median_s: float = 0.3
    # Length of the filter for single classes, as pairs such as Speech 0.5.
    median_by_class_s: dict[str, float] = field(default_factory=dict)
    # Settings of the method boxes.
    boxes: BoxSettings = field(default_factory=BoxSettings)
    # Length of the windows that the model is given.
    window_s: float = 10.0
    # Overlap of neighbouring windows, in which they fade into each other.
    overlap_s: float = 2.0
    # Number of windows in a batch.
    batch: int = 8

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 1:
            raise DetectError(f"threshold {self.threshold}: expected at least 0 and below 1")
        if not 0 <= self.overlap_s < self.window_s < math.inf:
            raise DetectError(
                f"windows of {self.window_s} s that overlap by {self.overlap_s} s: expected an "
                "overlap of at least 0 and below the window"
            )
        if self.batch < 1:
            raise DetectError(f"batch {self.batch}: expected at least 1 window")

    def median_frames(self, classes: Sequence[str], hop_s: float) -> list[int]:
        """Each class's filter in frames, an odd number.

        Raises:
            PipelineError: a name that is no class, or a length that is negative or not finite.
        """
        if unknown := sorted(self.median_by_class_s.keys() - set(classes)):
            raise DetectError(
                f"median of the class {unknown[0]!r}: expected one of {', '.join(classes)}"
            )
        widths_s = [self.median_by_class_s.get(name, self.median_s) for name in classes]
        return [odd_frames(width_s, hop_s) for width_s in widths_s]
