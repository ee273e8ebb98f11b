"""What is done to frame scores before they become events: clip masks, smoothing, ensembles."""

from collections.abc import Sequence
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

Scores = TypeVar("Scores", bound=np.floating)
SHORT_FRAMES = 15  # windows up to which all classes are filtered at once


def weak_mask(
    scores: npt.NDArray[Scores], clip_probabilities: npt.NDArray[Scores]
) -> npt.NDArray[Scores]:
    """Soft mask: each class's frame scores times the probability that the clip holds the class.

    Args:
        scores: ``(..., frames, classes)``.
        clip_probabilities: ``(..., classes)``.

    Raises:
        InputError: when the shapes do not fit together.
    """
    if clip_probabilities.shape != (*scores.shape[:-2], scores.shape[-1]):
        raise InputError(
            f"clip probabilities {clip_probabilities.shape} for scores {scores.shape}: "
            f"expected {(*scores.shape[:-2], scores.shape[-1])}"
        )
    return scores * clip_probabilities[..., None, :]


def hard_mask(
    scores: npt.NDArray[Scores], clip_probabilities: npt.NDArray[Scores], threshold: float
) -> npt.NDArray[Scores]:
    """Silence each class whose clip probability is below a threshold; shapes as `weak_mask`."""
    present = (clip_probabilities >= threshold).astype(scores.dtype)
    return weak_mask(scores, present)


def median_filter_frames(
    scores: npt.NDArray[Scores],
    sizes: Sequence[int],
    *,
    ends: Literal["mirrored", "repeated"] = "mirrored",
) -> npt.NDArray[Scores]:
    """Running median over time with one window length per class, in frames.

    An even ``size`` covers ``size / 2`` frames before the frame and ``size / 2 - 1`` after it, and
    takes the upper of the two middle values, as the reference's PSDS path does.

    The ends are mirrored ("reflect"). Repeating the edge frame, as the reference's F1 path does,
    lets that one frame fill half of the window and so decide the result there alone.

    Args:
        scores: ``(frames, classes)``.
        sizes: ``(classes,)``; 1 leaves a class as it is.
        ends: what lies before the first and after the last frame.

    Returns:
        ``(frames, classes)`` of the same dtype.

    Raises:
        InputError: when shapes do not fit together, a size is below 1 or a score is NaN.
    """
    from scipy import ndimage  # where scores are smoothed: settings need not wait for it

    _check(scores, sizes)
    smooth = scores.copy()
    # Mirrored here, not by scipy: its own mirroring (1.17) reads foreign memory when the window is
    # several times longer than the clip.
    mode: Literal["symmetric", "edge"] = "symmetric" if ends == "mirrored" else "edge"
    for size in set(sizes) if len(scores) else ():
        columns = np.flatnonzero(np.equal(sizes, size))
        if 1 < size <= SHORT_FRAMES:
            around = (size // 2, size - 1 - size // 2), (0, 0)
            smooth[:, columns] = _short_median(np.pad(scores[:, columns], around, mode=mode), size)
        elif size > 1:
            # Column by column: scipy's filter for one dimension is many times faster on long
            # windows than (size, 1) in two.
            for column in columns:
                longer = np.pad(scores[:, column], size // 2, mode=mode)
                filtered = ndimage.median_filter(longer, size=size, mode="nearest")
                smooth[:, column] = filtered[size // 2 : size // 2 + len(scores)]
    return smooth


def _short_median(scores: npt.NDArray[Scores], size: int) -> npt.NDArray[Scores]:
    """The median of each `size` frames ``(frames + size - 1, classes)``, all classes at once."""
    if scores.dtype == np.float16:
        # Half precision is compared in software, its bits by the processor: rising with the scores
        # once those behind the sign of negative ones are flipped, which is its own inverse.
        bits = (scores + 0).view(np.int16)
        found = _short_median(bits ^ ((bits >> 15) & 0x7FFF), size)  # type: ignore[type-var]
        return (found ^ ((found >> 15) & 0x7FFF)).view(np.float16)
    windows = np.lib.stride_tricks.sliding_window_view(scores, size, axis=0)
    return np.partition(windows, size // 2, axis=-1)[..., size // 2]


def max_filter_frames(scores: npt.NDArray[Scores], sizes: Sequence[int]) -> npt.NDArray[Scores]:
    """Running maximum of the running median: events grow by half a window on either side.

    Arguments, result and errors as :func:`median_filter_frames`.
    """
    from scipy import ndimage

    widest = median_filter_frames(scores, sizes)
    for column, size in enumerate(sizes):
        if size > 1 and len(scores):
            # Frames beyond the ends add nothing to a maximum of frames within them.
            widest[:, column] = ndimage.maximum_filter(
                widest[:, column], size=size, mode="constant", cval=-np.inf
            )
    return widest


def mean_scores(members: Sequence[npt.NDArray[Scores]]) -> npt.NDArray[Scores]:
    """The scores of an ensemble: the mean of its members' scores, all of one shape.

    Raises:
        InputError: there are no members, or their shapes differ.
    """
    shapes = {member.shape for member in members}
    if len(shapes) != 1:
        raise InputError(
            f"an ensemble of {len(members)} with scores of shapes {sorted(shapes)}: expected at "
            "least one member, and the same shape of all; score them at the same hop"
        )
    mean: npt.NDArray[Scores] = np.mean(members, axis=0, dtype=np.float64).astype(members[0].dtype)
    return mean


def _check(scores: npt.NDArray[Scores], sizes: Sequence[int]) -> None:
    if scores.ndim != 2 or scores.shape[1] != len(sizes):
        raise InputError(f"scores {scores.shape}: expected (frames, {len(sizes)} classes)")
    if any(size < 1 for size in sizes):
        raise InputError(f"median sizes {list(sizes)}: each must be at least 1 frame")
    if np.isnan(scores).any():
        raise InputError("scores hold NaN: they have no median; check the detector")


def odd_frames(width_s: float, hop_s: float) -> int:
    """The odd number of frames nearest to ``width_s`` (at least 1): an odd window is symmetric.

    Raises:
        InputError: when the width is negative or the hop is not positive.
    """
    if not (np.isfinite(width_s) and width_s >= 0):
        raise InputError(f"median width {width_s} s: expected a finite number, 0 or more")
    if not hop_s > 0:
        raise InputError(f"hop_s={hop_s}: expected a positive number of seconds per frame")
    return 2 * max(round((width_s / hop_s - 1) / 2), 0) + 1


def median_filter(
    scores: npt.NDArray[Scores], width_s: float | Sequence[float], hop_s: float
) -> npt.NDArray[Scores]:
    """Running median over time with windows given in seconds (the nearest odd number of frames).

    Args:
        scores: ``(frames, classes)``.
        width_s: one width for all classes, or ``(classes,)``.
        hop_s: seconds per frame.

    Raises:
        InputError: as :func:`odd_frames` and :func:`median_filter_frames`.
    """
    widths_s = np.atleast_1d(np.asarray(width_s, dtype=np.float64))
    sizes = [odd_frames(float(width), hop_s) for width in widths_s]
    if len(sizes) == 1 and scores.ndim == 2:
        sizes = sizes * scores.shape[1]
    return median_filter_frames(scores, sizes)
