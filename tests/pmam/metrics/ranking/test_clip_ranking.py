"""Ranking of clips against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from pmam.errors import InputError
from pmam.metrics.ranking.clip_ranking import clip_ranking, roc_auc


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), clips=st.integers(4, 60), steps=st.sampled_from([3, 1000]))
def test_numbers_are_scikit_learns(seed: int, clips: int, steps: int) -> None:
    generator = np.random.default_rng(seed)
    targets = generator.random((clips, 3)) < 0.4
    targets[0], targets[1] = True, False  # each class has both
    scores = generator.integers(0, steps, (clips, 3)) / steps  # with ties where steps are few
    found = clip_ranking(scores, targets, ("a", "b", "c"))
    micro, macro = (average_precision_score(targets, scores, average=a) for a in ("micro", "macro"))
    assert (found.ap_micro, found.ap_macro) == (pytest.approx(micro), pytest.approx(macro))
    assert found.roc_auc == pytest.approx(roc_auc_score(targets, scores, average="macro"))
    assert found.auc["b"] == pytest.approx(roc_auc_score(targets[:, 1], scores[:, 1]))


def test_a_class_of_one_kind_has_no_area() -> None:
    assert np.isnan(roc_auc(np.array([0.1, 0.2]), np.array([True, True])))
    with pytest.raises(InputError, match="NaN"):
        roc_auc(np.array([np.nan, 0.2]), np.array([True, False]))
