"""Events as boxes with one confidence each, found where scores change (arXiv 2406.04212).

A threshold on frame scores decides both whether an event is reported and how long it is. A box has
its length before any threshold is applied, and stands or falls as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pmam.events.median_filter import Scores
from pmam.events.settings import BoxSettings

Floats = npt.NDArray[np.float64]
# Added to both sides of a ratio of scores: silence has none.
RATIO_FLOOR = 1e-3


@dataclass(frozen=True, kw_only=True)
class Box:
    """One possible event of one class."""

    first: int  # frame
    end: int  # the frame after the last
    confidence: float  # mean score inside


def change(scores: Floats, reach: int) -> Floats:
    """Mean of the `reach` frames after each border minus that of those before: `(frames + 1,)`.

    Outside of the clip nothing sounds.
    """
    total = np.concatenate([[0.0], np.cumsum(np.pad(scores, reach))])
    border = np.arange(len(scores) + 1) + reach
    after = total[border + reach] - total[border]
    before = total[border] - total[border - reach]
    # Rounded: on a plateau the sums must not leave hills.
    difference: Floats = np.round((after - before) / reach, 9)
    return difference


def turning_points(curve: Floats) -> list[tuple[int, bool]]:
    """Local maxima (true) and minima (false) in turn; of a flat one the first place."""
    slope = np.diff(curve)
    moving = np.flatnonzero(slope)
    if not len(moving):
        return []
    rising = slope[moving] > 0
    turns = np.flatnonzero(rising[1:] != rising[:-1])
    ends = [(0, not rising[0]), (int(moving[-1]) + 1, bool(rising[-1]))]
    inner = [(int(moving[turn]) + 1, bool(rising[turn])) for turn in turns]
    return [ends[0], *inner, ends[1]]


def candidates(scores: Floats, reach: int) -> list[Box]:
    """From the largest of some rises in a row to the largest of the falls that follow.

    `scores (frames,)` are those of one class.
    """
    found: list[Box] = []
    curve = change(scores, reach)
    onset: int | None = None
    offset: int | None = None
    for border, is_rise in turning_points(curve):
        if is_rise and curve[border] > 0:
            if onset is not None and offset is not None:
                found.append(_box(scores, onset, offset))
                onset = offset = None
            if onset is None or curve[border] > curve[onset]:
                onset = border
        elif onset is not None and curve[border] < min(0.0, curve[offset] if offset else 0.0):
            offset = border
    if onset is not None and offset is not None:
        found.append(_box(scores, onset, offset))
    return found


def merge(scores: Floats, found: Sequence[Box], settings: BoxSettings) -> list[Box]:
    """Close the gaps that are shallow beside both of their neighbours.

    Every gap is judged once, by the boxes `found` in `scores (frames,)`: a row of boxes becomes one
    when each of its gaps is shallow. A faint box beside a strong one stays alone.
    """
    if not found:
        return []
    highest = np.array([scores[box.first : box.end].max() for box in found])
    lowest = np.array([scores[a.end : b.first].min() for a, b in pairwise(found)])
    higher = np.maximum(highest[:-1], highest[1:])  # shallow beside it, shallow beside both
    is_shallow = higher - lowest < settings.merge_drop
    if settings.merge_ratio is not None:
        is_shallow &= higher + RATIO_FLOOR < settings.merge_ratio * (lowest + RATIO_FLOOR)
    firsts = [0, *(np.flatnonzero(~is_shallow) + 1).tolist(), len(found)]
    return [_box(scores, found[a].first, found[b - 1].end) for a, b in pairwise(firsts)]


def find_boxes(
    scores: npt.NDArray[Scores], hop_s: float, settings: BoxSettings | Sequence[BoxSettings]
) -> list[list[Box]]:
    """The boxes of each class, in time, from `scores (frames, classes)`.

    Settings are those of all classes, or of each.
    """
    columns = np.asarray(scores, np.float64).T
    if isinstance(settings, BoxSettings):
        settings = [settings] * len(columns)
    return [
        merge(column, candidates(column, max(1, round(own.step_s / 2 / hop_s))), own)
        for column, own in zip(columns, settings, strict=True)
    ]


def box_scores(
    scores: npt.NDArray[Scores], hop_s: float, settings: BoxSettings | Sequence[BoxSettings]
) -> npt.NDArray[Scores]:
    """`scores (frames, classes)` with each box's confidence inside of it and 0 elsewhere.

    Any threshold on these reports whole boxes, so that every metric of frame scores is one of
    boxes.
    """
    flat = np.zeros_like(scores)
    for column, boxes in enumerate(find_boxes(scores, hop_s, settings)):
        for box in boxes:
            flat[box.first : box.end, column] = box.confidence
    return flat


def _box(scores: Floats, first: int, end: int) -> Box:
    return Box(first=first, end=end, confidence=float(scores[first:end].mean()))
