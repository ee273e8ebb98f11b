"""What systems say of clips: frame scores or events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event, FloatArray
from pmam.events.settings import PostprocessSettings

AS_THEY_ARE = PostprocessSettings(median_s=0.0)
Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class FrameOutput:
    """Frame scores of clips.

    Args:
        name: what results call it.
        classes: in NFC, in the order of the columns.
        clips: as it names them.
        read: a clip's scores `(frames, classes)` and frame edges `(frames + 1,)` in seconds; of
            equally long frames, their length alone, and the last ends with the clip.
        postprocess: that of the detector, where it is known.
    """

    name: str
    classes: tuple[str, ...]
    clips: tuple[str, ...]
    read: Callable[[str], tuple[Scores, FloatArray | float]]
    postprocess: PostprocessSettings = AS_THEY_ARE


@dataclass(frozen=True, kw_only=True)
class EventOutput:
    """Detected events of clips, at one or several operating points."""

    name: str
    classes: tuple[str, ...]
    points: Mapping[str, Mapping[str, list[Event]]]  # by operating point and clip

    @property
    def clips(self) -> tuple[str, ...]:
        """Those that any operating point names."""
        return tuple(dict.fromkeys(clip for point in self.points.values() for clip in point))


Output = FrameOutput | EventOutput
