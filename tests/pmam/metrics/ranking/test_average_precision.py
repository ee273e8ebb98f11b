import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from sklearn.metrics import f1_score as sklearn_f1

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.ranking.average_precision import (
    average_precision,
    clip_f1,
    clip_table,
    frame_table,
    macro_average_precision,
)
from pmam.metrics.registry import METRICS

examples = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=60,
)


@given(examples)
def test_average_precision_is_scikit_learns(rows: list[tuple[float, bool, int]]) -> None:
    scores, targets, weights = (np.array(column) for column in zip(*rows, strict=True))
    if targets.any():
        ours = average_precision(scores, targets)
        assert ours == pytest.approx(average_precision_score(targets, scores), abs=1e-12)
    else:
        assert np.isnan(average_precision(scores, targets))
    if (targets * weights).any():
        weighted = average_precision(scores, targets, weights.astype(float))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = average_precision_score(
                np.repeat(targets, weights), np.repeat(scores, weights)
            )
        assert weighted == pytest.approx(theirs, abs=1e-12)


def test_macro_leaves_out_classes_without_positives() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.random((200, 3)), rng.random((200, 3)) < 0.3
    targets[:, 1] = False
    result = macro_average_precision(scores, targets, ["a", "b", "c"])
    expected = average_precision_score(targets[:, [0, 2]], scores[:, [0, 2]], average="macro")
    assert result.value == pytest.approx(expected, abs=1e-12)
    assert np.isnan(result.per_class["b"])


def test_clip_f1_is_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    scores, targets = rng.random((50, 4)), rng.random((50, 4)) < 0.4
    result = clip_f1(scores, targets, list("abcd"), threshold=0.6)
    assert result.value == pytest.approx(sklearn_f1(targets, scores > 0.6, average="macro"))
    assert list(result.per_class.values()) == pytest.approx(
        sklearn_f1(targets, scores > 0.6, average=None).tolist()
    )


@pytest.fixture
def clips() -> EvaluationSet:
    rng = np.random.default_rng(2)
    names = [f"clip{index}" for index in range(12)]
    onsets = {name: float(rng.uniform(0, 5)) for name in names}
    return EvaluationSet(
        scores={name: rng.random((20, 2), dtype=np.float32) for name in names},
        hop_s=0.5,
        ground_truth={
            name: [Event(onset_s=onsets[name], offset_s=onsets[name] + 4, label="ab"[index % 2])]
            for index, name in enumerate(names)
        },
        durations_s=dict.fromkeys(names, 10.0),
        classes=["a", "b"],
    )


def test_tables_hold_every_frame_and_every_clip(clips: EvaluationSet) -> None:
    frames, whole = frame_table(clips), clip_table(clips)
    assert frames.scores.shape == frames.targets.shape == (240, 2)
    assert frames.targets.sum() == 12 * 8  # 4 s of 0.5 s frames in each clip
    np.testing.assert_array_equal(whole.targets, [[i % 2 == 0, i % 2 == 1] for i in range(12)])
    np.testing.assert_array_equal(whole.scores[3], clips.scores["clip3"].max(axis=0))


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_gives_a_value_and_values_per_class(name: str, clips: EvaluationSet) -> None:
    result = METRICS[name](clips)
    assert 0 <= result.value <= 1
    assert list(result.per_class) == ["a", "b"]


def test_weights_are_a_resample_of_the_clips(clips: EvaluationSet) -> None:
    chosen = ["clip0", "clip3", "clip3", "clip7", "clip8"]
    weights = np.array([chosen.count(name) for name in clips.clips], dtype=float)
    expected = METRICS["frame_ap"](clips.take(chosen))
    assert frame_table(clips).result(weights).value == pytest.approx(expected.value, abs=1e-12)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        average_precision(np.array([np.nan]), np.array([True]))
    with pytest.raises(ValueError, match="expected one length"):
        average_precision(np.zeros(3), np.zeros(2, dtype=bool))
    with pytest.raises(ValueError, match="no positive example"):
        clip_f1(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool), ["a"])
    with pytest.raises(ValueError, match=r"expected \(n, 2\) both"):
        macro_average_precision(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool), ["a", "b"])
