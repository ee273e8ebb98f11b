"""What detection needs to know: windows, and post-processing other than the detector's."""

import math
from dataclasses import dataclass

from pipelines.runtime.errors import PipelineError
from pmam.events.settings import PostprocessOverrides


class DetectError(PipelineError):
    """Files or settings that nothing can be detected with; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class DetectSettings(PostprocessOverrides):
    """From audio to events.

    Boxes and the clip mask look at a whole file: 4 bytes are held for each of its frames and
    classes, an hour of ten classes at 100 frames a second in 14 MB. Otherwise memory does not grow
    with the length of a file.
    """

    # Length of the windows that the model is given, in seconds.
    window_s: float = 10.0
    # Overlap of neighbouring windows in seconds, where they fade into each other.
    overlap_s: float = 2.0
    # Number of windows in a batch.
    batch: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.overlap_s < self.window_s < math.inf:
            raise DetectError(
                f"windows of {self.window_s} s that overlap by {self.overlap_s} s: expected an "
                "overlap of at least 0 and below the window"
            )
        if self.batch < 1:
            raise DetectError(f"batch {self.batch}: expected at least 1 window")
