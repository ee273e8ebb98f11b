"""What detection needs to know: windows, and post-processing other than the detector's."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.runtime.errors import PipelineError
from pmam.events.settings import PostprocessOverrides
from shards.audio.channel_choice import ChannelChoice

if TYPE_CHECKING:
    from shards.annotations.event import SoundEvent


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
    # What of several channels is listened to: their mean, the left or right one, the loudest, or
    # each by itself, whose number events then have in the column channel, 1 the left one.
    channel: ChannelChoice = "mean"
    # Number of windows in a batch.
    batch: int = 8
    # Length in seconds below which an event is left out.
    min_duration_s: float = 0.0
    # Number of events that are kept of each recording, those with the highest scores. None: all.
    top: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.overlap_s < self.window_s < math.inf:
            raise DetectError(
                f"windows of {self.window_s} s that overlap by {self.overlap_s} s: expected an "
                "overlap of at least 0 and below the window"
            )
        if self.batch < 1:
            raise DetectError(f"batch {self.batch}: expected at least 1 window")
        if not 0 <= self.min_duration_s < math.inf:
            raise DetectError(
                f"min_duration_s {self.min_duration_s}: expected a finite number, 0 or more"
            )
        if self.top is not None and self.top < 1:
            raise DetectError(f"top {self.top}: expected at least 1 event")

    def chosen(self, events: "Iterable[SoundEvent]") -> "tuple[SoundEvent, ...]":
        """Those that are long enough and score highest, by onset, offset and label."""
        shortest_s = self.min_duration_s - 1e-9  # frames add up with rounding errors
        found = [event for event in events if event.offset_s - event.onset_s >= shortest_s]
        if self.top is not None:
            found = sorted(found, key=lambda event: (-(event.score or 0.0), event.onset_s))[
                : self.top
            ]
        return tuple(sorted(found, key=_order))


def _order(event: "SoundEvent") -> tuple[float, float, str, int]:
    return event.onset_s, event.offset_s, event.label, event.channel or 0
