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

    # An event is a run of frames with a smoothed probability above it; or a box of more confidence.
    threshold: float = 0.5
    # Each class's probabilities are smoothed by a running median, or by the running maximum of it;
    # or boxes of one confidence each are found where they change (arXiv 2406.04212). Boxes are
    # joined by looking at a whole file: 4 bytes are held for each of its frames and classes, an
    # hour of ten classes at 100 frames a second in 14 MB. With the others, memory does not grow.
    method: Literal["median", "max", "boxes"] = "median"
    # Length of the windows of median and maximum.
    median_s: float = 0.3
    # Another length for some classes, by name.
    median_by_class_s: dict[str, float] = field(default_factory=dict)
    # Of the method boxes.
    boxes: BoxSettings = field(default_factory=BoxSettings)
    # Length of the windows that the model hears.
    window_s: float = 10.0
    # How much neighbouring windows share; they fade into each other there.
    overlap_s: float = 2.0
    # Windows that go through the model together.
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
