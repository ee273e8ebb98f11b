"""From the scores of a detector to those that are thresholded: one choice of post-processing."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pmam.events.change_detection import box_scores
from pmam.events.median_filter import (
    Scores,
    max_filter_frames,
    median_filter_frames,
    weak_mask,
)
from pmam.events.settings import PostprocessSettings


def smooth(
    scores: npt.NDArray[Scores],
    clip_probabilities: npt.NDArray[Scores] | None,
    classes: Sequence[str],
    hop_s: float,
    settings: PostprocessSettings,
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
        return box_scores(scores, hop_s, settings.boxes_of(classes))
    apply = median_filter_frames if settings.method == "median" else max_filter_frames
    return apply(scores, settings.sizes(classes, hop_s))


def linear_softmax_frames(scores: npt.NDArray[Scores]) -> npt.NDArray[Scores]:
    """Clip probabilities `sum_t p^2 / sum_t p` of `(frames, classes)`: `(classes,)`."""
    total = np.maximum(scores.sum(axis=0), 1e-7)
    probabilities: npt.NDArray[Scores] = (np.square(scores).sum(axis=0) / total).clip(0.0, 1.0)
    return probabilities.astype(scores.dtype)
