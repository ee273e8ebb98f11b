"""From the scores of a detector to those that are thresholded: one choice of post-processing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from pmam.events.change_detection import BoxSettings, box_scores
from pmam.events.median_filter import (
    Scores,
    max_filter_frames,
    median_filter_frames,
    odd_frames,
    weak_mask,
)


@dataclass(frozen=True, kw_only=True)
class SmoothingSettings:
    """How frame scores are smoothed."""

    # Running median, running maximum of it, or boxes of one confidence each (arXiv 2406.04212).
    method: Literal["median", "max", "boxes"] = "median"
    # Window of median and maximum.
    width_s: float = 0.4
    # Another window for some classes, by name.
    width_by_class_s: dict[str, float] = field(default_factory=dict)
    # False cuts the width to whole frames, be they even, as PMAM's code does: an even window moves
    # events by half a frame.
    odd_windows: bool = True
    # Multiply each class by the probability that the clip holds it (PMAM).
    clip_mask: bool = False
    # Of the method `boxes`.
    boxes: BoxSettings = field(default_factory=BoxSettings)

    def sizes(self, classes: Sequence[str], hop_s: float) -> list[int]:
        """The window of each class in frames.

        Raises:
            ValueError: a width that is negative, or of a class that is not there.
        """
        if unknown := sorted(self.width_by_class_s.keys() - set(classes)):
            raise ValueError(
                f"filter width of the class {unknown[0]!r}: expected one of {', '.join(classes)}"
            )
        widths_s = [self.width_by_class_s.get(name, self.width_s) for name in classes]
        sizes = [odd_frames(width_s, hop_s) for width_s in widths_s]  # refuses bad widths
        if self.odd_windows:
            return sizes
        # The reference cuts the fraction off; the slack keeps whole numbers whole.
        return [max(int(width_s / hop_s + 1e-6), 1) for width_s in widths_s]


def smooth(
    scores: npt.NDArray[Scores],
    clip_probabilities: npt.NDArray[Scores] | None,
    classes: Sequence[str],
    hop_s: float,
    settings: SmoothingSettings,
) -> npt.NDArray[Scores]:
    """Scores `(frames, classes)` after mask and filter, the same shape.

    Args:
        scores: of one clip.
        clip_probabilities: `(classes,)`, for the mask; None makes them from the scores, by linear
            softmax over time (arXiv 1810.09050).
        classes: names of the columns.
        hop_s: seconds per frame.
        settings: mask and filter.
    """
    if settings.clip_mask:
        if clip_probabilities is None:
            clip_probabilities = linear_softmax_frames(scores)
        scores = weak_mask(scores, clip_probabilities)
    if settings.method == "boxes":
        return box_scores(scores, hop_s, settings.boxes)
    apply = median_filter_frames if settings.method == "median" else max_filter_frames
    return apply(scores, settings.sizes(classes, hop_s))


def linear_softmax_frames(scores: npt.NDArray[Scores]) -> npt.NDArray[Scores]:
    """Clip probabilities `sum_t p^2 / sum_t p` of `(frames, classes)`: `(classes,)`."""
    total = np.maximum(scores.sum(axis=0), 1e-7)
    probabilities: npt.NDArray[Scores] = (np.square(scores).sum(axis=0) / total).clip(0.0, 1.0)
    return probabilities.astype(scores.dtype)
