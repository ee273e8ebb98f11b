"""A sound event, and the frame edges that it is laid on."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, order=True, slots=True)  # there may be millions
class Event:
    """One sound event of one class.

    Args:
        onset_s: where it begins, in seconds from the start of the clip.
        offset_s: where it ends, in seconds, after the onset.
        label: its class.

    Raises:
        InputError: when a time is not finite, the onset is negative, or the offset does not
            come after the onset.
    """

    onset_s: float
    offset_s: float
    label: str

    def __post_init__(self) -> None:
        times = f"onset_s={self.onset_s}, offset_s={self.offset_s} of a {self.label!r} event"
        if not (math.isfinite(self.onset_s) and math.isfinite(self.offset_s)):
            raise InputError(f"{times}: both must be finite numbers; correct the label")
        if self.onset_s < 0:
            raise InputError(f"{times}: the onset must not be negative; correct the label")
        if self.onset_s >= self.offset_s:
            raise InputError(f"{times}: the onset must come before the offset; correct the label")


def uniform_edges_s(frames: int, hop_s: float, start_s: float = 0.0) -> FloatArray:
    """The edges ``(frames + 1,)`` in seconds of equally long frames.

    Raises:
        InputError: when ``hop_s`` is not a positive number.
    """
    if not (math.isfinite(hop_s) and hop_s > 0):
        raise InputError(f"hop_s={hop_s}: expected a positive number of seconds per frame")
    return start_s + hop_s * np.arange(frames + 1, dtype=np.float64)


def frame_end_s(frame: int, hop_s: float, clip_s: float) -> float:
    """Where a frame, counted from 0, ends: with its clip of ``clip_s``, if that ends in it.

    A frame wholly behind the clip stays as it is.
    """
    begin_s, end_s = hop_s * frame, hop_s * (frame + 1)
    return clip_s if begin_s < clip_s < end_s else end_s


def edges_within_s(frames: int, hop_s: float, clip_s: float) -> FloatArray:
    """:func:`uniform_edges_s` of a clip's frames; the last ends with the clip, at ``clip_s``."""
    edges_s = uniform_edges_s(frames, hop_s)
    if frames:
        edges_s[-1] = frame_end_s(frames - 1, hop_s, clip_s)
    return edges_s
