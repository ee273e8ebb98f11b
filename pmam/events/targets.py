"""From events to frame targets."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.events.event import Event, FloatArray, uniform_edges_s
from pmam.events.union import united


def encode(
    events: Iterable[Event], classes: Sequence[str], frames: int, hop_s: float
) -> npt.NDArray[np.float32]:
    """Frame targets ``(frames, classes)``: 1 where at least half of the frame lies in an event.

    An event too short for that still activates one frame, the one that holds its middle: no
    label is lost to the frame rate. An event that runs past the last frame is cut there.
    Overlapping events of one class are one (`pmam.events.union`).

    Raises:
        InputError: when a label is not in ``classes``, there are no frames, or an event lies
            wholly behind them.
    """
    return encode_at(events, classes, uniform_edges_s(frames, hop_s))


def encode_at(
    events: Iterable[Event], classes: Sequence[str], edges_s: FloatArray
) -> npt.NDArray[np.float32]:
    """:func:`encode` for frames of any length, given by their edges ``(frames + 1,)``."""
    frames = len(edges_s) - 1
    if frames < 1:
        raise InputError(f"{frames} frames: expected at least 1 to place events in")
    column = {name: index for index, name in enumerate(classes)}
    length_s = np.diff(edges_s)
    targets = np.zeros((frames, len(classes)), dtype=np.float32)
    for event in united(events):
        if event.label not in column:
            raise InputError(f"{event}: label is not one of the classes {list(classes)}")
        # The remainder of a clip after its last whole frame is shorter than one frame.
        if event.onset_s >= edges_s[-1] + length_s[-1]:
            raise InputError(f"{event}: begins after the last frame ends at {edges_s[-1]} s")
        inside_s = np.minimum(event.offset_s, edges_s[1:]) - np.maximum(event.onset_s, edges_s[:-1])
        # Half a microsecond of slack: an exact half must not depend on rounding.
        targets[inside_s >= 0.5 * length_s - 5e-7, column[event.label]] = 1
        middle_s = (event.onset_s + event.offset_s) / 2
        nearest = int(np.searchsorted(edges_s, middle_s, side="right")) - 1
        targets[min(max(nearest, 0), frames - 1), column[event.label]] = 1
    return targets


def encode_published(
    events: Iterable[Event],
    classes: Sequence[str],
    frames: int,
    sample_rate_hz: int,
    hop_samples: int,
) -> npt.NDArray[np.float32]:
    """Frame targets `(frames, classes)` as PMAM's code makes them: for comparison with it.

    Onsets go to the nearest edge of frames (a half to the even one), offsets to the next: an
    event is up to a frame longer than with :func:`encode`, and a very short one may be lost.
    """
    column = {name: index for index, name in enumerate(classes)}
    targets = np.zeros((frames, len(classes)), dtype=np.float32)
    for event in events:
        # The order of the two operations decides exact halves.
        onset = min(event.onset_s * sample_rate_hz / hop_samples, frames)
        offset = min(event.offset_s * sample_rate_hz / hop_samples, frames)
        targets[round(onset) : math.ceil(offset), column[event.label]] = 1
    return targets
