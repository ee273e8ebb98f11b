"""One choice of post-processing from settings."""

import numpy as np
import pytest
import torch

from pmam.events.change_detection import box_scores
from pmam.events.median_filter import max_filter_frames, median_filter, weak_mask
from pmam.events.postprocessing import linear_softmax_frames, smooth
from pmam.events.settings import SmoothingSettings
from pmam.models.detector import linear_softmax

CLASSES = ("cat", "dog", "owl")
HOP_S = 0.02
SCORES = np.random.default_rng(0).random((200, 3)).astype(np.float32)


def test_each_method_is_its_filter() -> None:
    settings = SmoothingSettings(width_s=0.1, width_by_class_s={"dog": 0.5})
    expected = median_filter(SCORES, [0.1, 0.5, 0.1], HOP_S)
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)
    settings = SmoothingSettings(method="max", width_s=0.1)
    expected = max_filter_frames(SCORES, [5, 5, 5])
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)
    settings = SmoothingSettings(method="boxes")
    expected = box_scores(SCORES, HOP_S, settings.boxes)
    np.testing.assert_array_equal(smooth(SCORES, None, CLASSES, HOP_S, settings), expected)


def test_the_clip_mask_takes_given_probabilities_or_makes_them() -> None:
    settings = SmoothingSettings(width_s=0.0, clip_mask=True)
    clips = np.array([0.0, 0.5, 1.0], np.float32)
    masked = smooth(SCORES, clips, CLASSES, HOP_S, settings)
    np.testing.assert_array_equal(masked, weak_mask(SCORES, clips))
    own = linear_softmax(torch.from_numpy(SCORES)[None])[0].numpy()
    np.testing.assert_allclose(linear_softmax_frames(SCORES), own, rtol=1e-5)
    masked = smooth(SCORES, None, CLASSES, HOP_S, settings)
    np.testing.assert_allclose(masked, weak_mask(SCORES, own), rtol=1e-5)


def test_even_windows_are_there_for_who_asks() -> None:
    widths = {"cat": 5 / 15.6, "dog": 20 / 15.6}
    settings = SmoothingSettings(width_s=0.0, width_by_class_s=widths, odd_windows=False)
    assert settings.sizes(CLASSES, 0.01) == [32, 128, 1]
    assert SmoothingSettings(width_by_class_s=widths).sizes(CLASSES, 0.01) == [33, 129, 41]


def test_unknown_classes_and_bad_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="'horse': expected one of cat, dog, owl"):
        SmoothingSettings(width_by_class_s={"horse": 1.0}).sizes(CLASSES, HOP_S)
    with pytest.raises(ValueError, match="median width -1"):
        SmoothingSettings(width_s=-1.0, odd_windows=False).sizes(CLASSES, HOP_S)
