"""One choice of post-processing from settings."""

import numpy as np
import pytest
import torch

from pmam.events.change_detection import box_scores
from pmam.events.median_filter import max_filter_frames, median_filter, weak_mask
from pmam.events.postprocessing import linear_softmax_frames, smooth
from pmam.events.settings import (
    BoxOverrides,
    BoxSettings,
    PostprocessOverrides,
    PostprocessSettings,
)
from pmam.models.detector import linear_softmax

CLASSES = ("cat", "dog", "owl")
HOP_S = 0.02
SCORES = np.random.default_rng(0).random((200, 3)).astype(np.float32)


def test_each_method_is_its_filter() -> None:
    settings = PostprocessSettings(median_s=0.1, median_by_class_s={"dog": 0.5})
    expected = median_filter(SCORES, [0.1, 0.5, 0.1], HOP_S)
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)
    settings = PostprocessSettings(method="max", median_s=0.1)
    expected = max_filter_frames(SCORES, [5, 5, 5])
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)
    settings = PostprocessSettings(method="boxes")
    expected = box_scores(SCORES, HOP_S, settings.boxes)
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)


def test_the_clip_mask_takes_given_probabilities_or_makes_them() -> None:
    settings = PostprocessSettings(median_s=0.0, clip_mask=True)
    clips = np.array([0.0, 0.5, 1.0], np.float32)
    masked = smooth(SCORES, clips, CLASSES, HOP_S, settings)
    np.testing.assert_array_equal(masked, weak_mask(SCORES, clips))
    own = linear_softmax(torch.from_numpy(SCORES)[None])[0].numpy()
    np.testing.assert_allclose(linear_softmax_frames(SCORES), own, rtol=1e-5)
    masked = smooth(SCORES, None, CLASSES, HOP_S, settings)
    np.testing.assert_allclose(masked, weak_mask(SCORES, own), rtol=1e-5)


def test_even_windows_are_there_for_who_asks() -> None:
    widths = {"cat": 5 / 15.6, "dog": 20 / 15.6}
    settings = PostprocessSettings(median_s=0.0, median_by_class_s=widths, odd_windows=False)
    assert settings.sizes(CLASSES, 0.01) == [32, 128, 1]
    assert PostprocessSettings(median_by_class_s=widths).sizes(CLASSES, 0.01) == [33, 129, 41]


def test_unknown_classes_and_bad_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="'horse': expected one of cat, dog, owl"):
        PostprocessSettings(median_by_class_s={"horse": 1.0}).sizes(CLASSES, HOP_S)
    with pytest.raises(ValueError, match="median width -1"):
        PostprocessSettings(median_s=-1.0, odd_windows=False)
    with pytest.raises(ValueError, match="threshold of the class 'horse': expected one of cat"):
        PostprocessSettings(threshold_by_class={"horse": 0.1}).check(CLASSES)
    for bad in ({"threshold": 1.0}, {"threshold_by_class": {"cat": float("nan")}}):
        for kind in (PostprocessSettings, PostprocessOverrides):
            with pytest.raises(ValueError, match=r"threshold (1\.0|nan): expected at least 0"):
                kind(**bad)


STORED = PostprocessSettings(
    method="max",
    median_s=0.3,
    median_by_class_s={"cat": 0.1, "owl": 0.9},
    odd_windows=False,
    clip_mask=True,
    boxes=BoxSettings(step_s=0.2, merge_ratio=3.0),
    threshold=0.4,
    threshold_by_class={"dog": 0.2},
)


def test_what_is_not_given_stays_as_stored() -> None:
    assert PostprocessOverrides().applied(STORED) == STORED
    # A value at its default is given all the same: the detector stores another.
    given = PostprocessOverrides(
        method="median", odd_windows=True, clip_mask=False, boxes=BoxOverrides(merge_drop=0.0)
    )
    found = given.applied(STORED)
    assert (found.method, found.odd_windows, found.clip_mask) == ("median", True, False)
    assert found.boxes == BoxSettings(step_s=0.2, merge_drop=0.0, merge_ratio=3.0)
    assert found.sizes(CLASSES, 0.1) == STORED.__class__(
        median_s=0.3, median_by_class_s={"cat": 0.1, "owl": 0.9}
    ).sizes(CLASSES, 0.1)
    assert found.thresholds(CLASSES) == [0.4, 0.2, 0.4]
    no_limit = PostprocessOverrides(boxes=BoxOverrides(merge_ratio=float("inf")))
    assert no_limit.applied(STORED).boxes.merge_ratio is None


def test_a_value_for_all_classes_is_one_for_all() -> None:
    """A detector with stored thresholds of single classes obeys `--threshold` in all of them."""
    found = PostprocessOverrides(threshold=0.7, median_s=0.5).applied(STORED)
    assert found.thresholds(CLASSES) == [0.7, 0.7, 0.7]
    assert found.median_by_class_s == {}
    found = PostprocessOverrides(threshold_by_class={"owl": 0.1}).applied(STORED)
    assert found.thresholds(CLASSES) == [0.4, 0.2, 0.1]
    found = PostprocessOverrides(threshold=0.6, threshold_by_class={"owl": 0.1}).applied(STORED)
    assert found.thresholds(CLASSES) == [0.6, 0.6, 0.1]
