"""Sound events, and the two ways between events and frames: decoding scores, encoding targets."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, order=True)
class Event:
    """One sound event of one class.

    Args:
        onset_s: where it begins, in seconds from the start of the clip.
        offset_s: where it ends, in seconds, after the onset.
        label: its class.

    Raises:
        ValueError: when a time is not finite, the onset is negative, or the offset does not
            come after the onset.
    """

    onset_s: float
    offset_s: float
    label: str

    def __post_init__(self) -> None:
        times = f"onset_s={self.onset_s}, offset_s={self.offset_s} of a {self.label!r} event"
        if not (math.isfinite(self.onset_s) and math.isfinite(self.offset_s)):
            raise ValueError(f"{times}: both must be finite numbers; correct the label")
        if self.onset_s < 0:
            raise ValueError(f"{times}: the onset must not be negative; correct the label")
        if self.onset_s >= self.offset_s:
            raise ValueError(f"{times}: the onset must come before the offset; correct the label")


def uniform_edges_s(frames: int, hop_s: float, start_s: float = 0.0) -> FloatArray:
    """The borders ``(frames + 1,)`` in seconds of equally long frames.

    Raises:
        ValueError: when ``hop_s`` is not a positive number.
    """
    if not (math.isfinite(hop_s) and hop_s > 0):
        raise ValueError(f"hop_s={hop_s}: expected a positive number of seconds per frame")
    return start_s + hop_s * np.arange(frames + 1, dtype=np.float64)


def decode(
    scores: npt.NDArray[np.floating],
    classes: Sequence[str],
    hop_s: float,
    *,
    start_s: float = 0.0,
    threshold: float | npt.ArrayLike = 0.5,
) -> list[Event]:
    """Turn frame scores into events: each run of frames strictly above the threshold is one event.

    Args:
        scores: ``(frames, classes)``.
        classes: names of the columns.
        hop_s: seconds per frame.
        start_s: where the first frame begins.
        threshold: one number, or one per class.

    Returns:
        Events sorted by onset, offset and label.

    Raises:
        ValueError: when shapes do not fit together or a score is NaN.
    """
    return decode_at(scores, classes, uniform_edges_s(len(scores), hop_s, start_s), threshold)


def decode_at(
    scores: npt.NDArray[np.floating],
    classes: Sequence[str],
    edges_s: FloatArray,
    threshold: float | npt.ArrayLike,
) -> list[Event]:
    """:func:`decode` for frames of any length, given by their borders ``(frames + 1,)``."""
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise ValueError(f"scores {scores.shape}: expected (frames, {len(classes)} classes)")
    if edges_s.shape != (len(scores) + 1,):
        raise ValueError(f"frame borders {edges_s.shape}: expected ({len(scores) + 1},)")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN: no threshold can decide there; check the detector")
    limits = np.asarray(threshold, dtype=np.float64)
    if limits.shape not in ((), (len(classes),)):
        raise ValueError(f"threshold {limits.shape}: expected one number or {len(classes)}")
    # (classes, frames), with a silent frame at both ends so that every run has two borders
    active = np.pad((scores > limits).T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(active, axis=1)
    label, first = np.nonzero(change == 1)
    _, after_last = np.nonzero(change == -1)
    return sorted(
        Event(onset_s=float(onset), offset_s=float(offset), label=classes[c])
        for onset, offset, c in zip(edges_s[first], edges_s[after_last], label, strict=True)
    )


def encode(
    events: Iterable[Event], classes: Sequence[str], frames: int, hop_s: float
) -> npt.NDArray[np.float32]:
    """Frame targets ``(frames, classes)``: 1 where at least half of the frame lies in an event.

    An event too short for that still activates one frame, the one that holds its middle: no
    label is lost to the frame rate. An event that runs past the last frame is cut there.

    Raises:
        ValueError: when a label is not in ``classes``, there are no frames, or an event lies
            wholly behind them.
    """
    return encode_at(events, classes, uniform_edges_s(frames, hop_s))


def encode_at(
    events: Iterable[Event], classes: Sequence[str], edges_s: FloatArray
) -> npt.NDArray[np.float32]:
    """:func:`encode` for frames of any length, given by their borders ``(frames + 1,)``."""
    frames = len(edges_s) - 1
    if frames < 1:
        raise ValueError(f"{frames} frames: expected at least 1 to place events in")
    column = {name: index for index, name in enumerate(classes)}
    length_s = np.diff(edges_s)
    targets = np.zeros((frames, len(classes)), dtype=np.float32)
    for event in events:
        if event.label not in column:
            raise ValueError(f"{event}: label is not one of the classes {list(classes)}")
        # The remainder of a clip after its last whole frame is shorter than one frame.
        if event.onset_s >= edges_s[-1] + length_s[-1]:
            raise ValueError(f"{event}: begins after the last frame ends at {edges_s[-1]} s")
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

    Onsets go to the nearest border of frames (a half to the even one), offsets to the next: an
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
