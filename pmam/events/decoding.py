"""From frame scores to sound events."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.events.event import Event, FloatArray, uniform_edges_s


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
        InputError: when shapes do not fit together or a score is NaN.
    """
    return decode_at(scores, classes, uniform_edges_s(len(scores), hop_s, start_s), threshold)


def decode_at(
    scores: npt.NDArray[np.floating],
    classes: Sequence[str],
    edges_s: FloatArray,
    threshold: float | npt.ArrayLike,
) -> list[Event]:
    """:func:`decode` for frames of any length, given by their edges ``(frames + 1,)``."""
    if scores.ndim != 2 or scores.shape[1] != len(classes):
        raise InputError(f"scores {scores.shape}: expected (frames, {len(classes)} classes)")
    if edges_s.shape != (len(scores) + 1,):
        raise InputError(f"frame edges {edges_s.shape}: expected ({len(scores) + 1},)")
    if np.isnan(scores).any():
        raise InputError("scores hold NaN: no threshold can decide there; check the detector")
    limits = np.asarray(threshold, dtype=np.float64)
    if limits.shape not in ((), (len(classes),)):
        raise InputError(f"threshold {limits.shape}: expected one number or {len(classes)}")
    # (classes, frames), with a silent frame at both ends so that every run has two edges
    active = np.pad((scores > limits).T, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(active, axis=1)
    label, first = np.nonzero(change == 1)
    _, after_last = np.nonzero(change == -1)
    return sorted(
        Event(onset_s=float(onset), offset_s=float(offset), label=classes[c])
        for onset, offset, c in zip(edges_s[first], edges_s[after_last], label, strict=True)
    )
