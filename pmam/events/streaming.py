"""Events of a stream of any length: no step holds more than a few windows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.events.median_filter import max_filter_frames, median_filter_frames
from pmam.events.postprocessing import smooth
from pmam.events.settings import PostprocessSettings

Floats = npt.NDArray[np.float32]


def smoothed(
    scores: Iterable[Floats], sizes: Sequence[int], *, maximum: bool = False
) -> Iterator[Floats]:
    """`median_filter_frames` of a stream: the same numbers, in blocks of other lengths.

    Args:
        scores: blocks `(frames, classes)` of any lengths.
        sizes: the filter of each class in frames.
        maximum: `max_filter_frames` instead.
    """
    apply = max_filter_frames if maximum else median_filter_frames
    # Frames on either side that the widest filter looks at; a maximum looks at medians.
    reach = max(sizes) // 2 * (2 if maximum else 1)
    held: Floats | None = None
    given = 0  # frames at the head of `held` that are out already, and still looked at
    for block in scores:
        held = block if held is None else np.concatenate([held, block])
        ready = len(held) - reach
        if ready > given:
            yield apply(held, sizes)[given:ready]
            given = min(reach, ready)
            held = held[ready - given :]
    if held is not None:
        yield apply(held, sizes)[given:]


@dataclass(frozen=True, kw_only=True)
class Run:
    """Neighbouring frames of one class above the threshold."""

    column: int  # of the class
    first: int  # frame
    end: int  # the frame after the last
    peak: float  # the highest score in it


def runs(scores: Iterable[Floats], threshold: float | npt.ArrayLike) -> Iterator[Run]:
    """`pmam.events.decoding.decode` of a stream, with each run's peak; a run comes when it ends.

    Args:
        scores: blocks `(frames, classes)` of any lengths.
        threshold: one number, or one per class.
    """
    limit = np.asarray(threshold, np.float64)  # in double precision, as `decode` compares
    start = 0  # frame with which the block begins
    unfinished: dict[int, tuple[int, float]] = {}  # column: first frame, peak so far
    for block in scores:
        active = block > limit  # (frames, classes)
        before = np.isin(np.arange(block.shape[1]), list(unfinished))
        for row, column in np.argwhere(np.diff(active, axis=0, prepend=before[None])).tolist():
            if active[row, column]:
                unfinished[column] = (start + row, 0.0)
                continue
            first, peak = unfinished.pop(column)
            inside = block[max(first - start, 0) : row, column]
            peak = float(inside.max(initial=peak))
            yield Run(column=column, first=first, end=start + row, peak=peak)
        for column, (first, peak) in unfinished.items():
            inside = block[max(first - start, 0) :, column]
            unfinished[column] = (first, float(inside.max(initial=peak)))
        start += len(block)
    for column, (first, peak) in unfinished.items():
        yield Run(column=column, first=first, end=start, peak=peak)


def detected(
    scores: Iterable[Floats], classes: Sequence[str], hop_s: float, settings: PostprocessSettings
) -> Iterator[Run]:
    """The events of a stream of scores: those of `smooth` and `decode` of the whole.

    They come as soon as they end; but where the settings need the whole, all at its end, and the
    scores are held until then.

    Args:
        scores: blocks `(frames, classes)` of any lengths.
        classes: names of the columns.
        hop_s: seconds per frame.
        settings: post-processing.

    Raises:
        InputError: the settings name a class that is not there, or a score is NaN.
    """
    thresholds = settings.thresholds(classes)
    if settings.needs_whole:
        if held := list(scores):
            whole = smooth(np.concatenate(held), None, classes, hop_s, settings)
            yield from runs([whole], thresholds)
        return
    sizes = settings.sizes(classes, hop_s)
    yield from runs(smoothed(scores, sizes, maximum=settings.method == "max"), thresholds)
