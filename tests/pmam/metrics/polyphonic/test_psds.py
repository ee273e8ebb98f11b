import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from psds_cases import CLASSES, all_settings, evaluation_sets

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.class_counts import net_steps, small
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, PSDSResult, PSDSSettings, psds, psds_counts
from pmam.metrics.polyphonic.segments import detected_segments


@given(st.lists(st.sampled_from([-math.inf, 0.0, 0.2, 0.5, 1.0]), min_size=1, max_size=30))
def test_segments_are_the_runs_at_every_threshold(scores: list[float]) -> None:
    segments = detected_segments(np.array([*scores, -math.inf]))
    for threshold in (0.0, 0.1, 0.2, 0.5, 0.7, 1.0):
        alive = (segments.disappears < threshold) & (threshold <= segments.appears)
        ours = sorted(zip(segments.first[alive], segments.end[alive], strict=True))
        active = np.pad(np.array(scores) >= threshold, 1).astype(int)
        first, end = np.flatnonzero(np.diff(active) == 1), np.flatnonzero(np.diff(active) == -1)
        assert ours == list(zip(first, end, strict=True))


@settings(deadline=None, max_examples=50)
@given(clips=evaluation_sets(), parameters=all_settings, seed=st.integers(0, 99))
def test_order_and_monotone_transforms_do_not_matter(
    clips: EvaluationSet, parameters: PSDSSettings, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    order, columns = rng.permutation(clips.clips), rng.permutation(len(CLASSES))
    shuffled = EvaluationSet(
        scores={clip: np.exp(3 * clips.scores[clip][:, columns]) for clip in order},
        hop_s=clips.hop_s,
        ground_truth={clip: list(reversed(clips.ground_truth[clip])) for clip in order},
        durations_s=clips.durations_s,
        classes=[CLASSES[column] for column in columns],
    )
    before, after = psds(clips, parameters), psds(shuffled, parameters)
    assert after.value == pytest.approx(before.value, abs=1e-12)
    assert after.per_class == pytest.approx(before.per_class, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(
    keys=st.lists(st.integers(0, 5), max_size=30),
    steps=st.lists(st.sampled_from([-1, 1, 200]), min_size=30, max_size=30),
)
def test_net_steps_are_the_sums_that_are_left(keys: list[int], steps: list[int]) -> None:
    totals = {k: sum(s for key, s in zip(keys, steps, strict=False) if key == k) for k in keys}
    key, step = net_steps(np.array(keys, dtype=np.int64), np.array(steps[: len(keys)], dtype=float))
    assert dict(zip(key, step, strict=True)) == {k: s for k, s in totals.items() if s}
    assert list(key) == sorted(key)
    assert small(step).tolist() == step.tolist()


def test_what_grows_takes_no_memory() -> None:
    # One peak a clip: a false positive that appears, and grows to the whole clip.
    frames = np.concatenate([np.arange(40), np.arange(40)[::-1]]) / 40
    clips = EvaluationSet(
        scores={str(n): (frames - n / 1e4)[:, None] for n in range(300)},
        hop_s=0.1,
        ground_truth={
            str(n): [Event(onset_s=1.0, offset_s=2.0, label="cat")] if n == 7 else []
            for n in range(300)
        },
        durations_s={str(n): 8.0 for n in range(300)},
        classes=["cat"],
    )
    counts = psds_counts(clips, PSDS2).per_class[0]
    assert len(counts.false.level) <= 2 * 300 and counts.false.clip.dtype == np.int16
    assert len(counts.thresholds) <= 2 * 300


@settings(deadline=None, max_examples=50)
@given(clips=evaluation_sets(), parameters=all_settings)
def test_bounds_and_monotonicity(clips: EvaluationSet, parameters: PSDSSettings) -> None:
    result = psds(clips, parameters)
    assert 0 <= result.value <= 1
    # The staircase rises: the mean height over a wider range cannot be smaller (no spread term).
    flat = replace(parameters, alpha_st=0.0)
    wider = replace(flat, e_max=2 * flat.e_max)
    assert psds(clips, wider).value >= psds(clips, flat).value - 1e-12
    assert result.value <= psds(clips, flat).value + 1e-12
    harder = replace(flat, gtc=1.0)
    assert psds(clips, harder).value <= psds(clips, flat).value + 1e-12


@settings(deadline=None, max_examples=30)
@given(clips=evaluation_sets(), parameters=all_settings, seed=st.integers(0, 99))
def test_weights_are_a_resample_of_the_clips(
    clips: EvaluationSet, parameters: PSDSSettings, seed: int
) -> None:
    chosen = ["clip0", *np.random.default_rng(seed).choice(clips.clips, size=4)]
    assume(any(clips.ground_truth[clip] for clip in chosen))  # no events at all: an error
    weights = np.array([chosen.count(clip) for clip in clips.clips], dtype=float)
    expected = psds(clips.take(chosen), parameters)
    result = psds_counts(clips, parameters).result(weights)
    if not math.isnan(expected.value):
        assert result.value == pytest.approx(expected.value, abs=1e-9)
    assert result.per_class == pytest.approx(expected.per_class, abs=1e-9, nan_ok=True)


@settings(deadline=None, max_examples=60)
@given(
    clips=evaluation_sets(),
    parameters=all_settings,
    e_max=st.sampled_from([50.0, 300.0, 1000.0]),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_thresholds_out_of_reach_change_nothing(
    clips: EvaluationSet, parameters: PSDSSettings, e_max: float, dtype: type, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    quiet = {f"quiet{n}": rng.random((9, 3)) for n in range(12)}
    scores = {k: v.astype(dtype) for k, v in {**clips.scores, **quiet}.items()}
    clips = EvaluationSet(
        scores=scores,
        hop_s=clips.hop_s,
        ground_truth={**clips.ground_truth, **{name: [] for name in quiet}},
        durations_s=dict.fromkeys(scores, 60.0),
        classes=CLASSES,
    )
    parameters = replace(parameters, e_max=e_max)
    draws = rng.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), size=3) + 0.0
    draws[:, [bool(clips.ground_truth[clip]) for clip in clips.clips].index(True)] += 1  # an event
    whole, short = psds_counts(clips, parameters), psds_counts(clips, parameters, draws)
    for weights in draws:
        assert_equal_results(short.result(weights), whole.result(weights))
    thresholds = [len(counts.thresholds) for counts in short.per_class]
    event(f"fewer thresholds: {sum(thresholds) < sum(len(c.thresholds) for c in whole.per_class)}")


def test_most_thresholds_are_out_of_reach() -> None:
    rng = np.random.default_rng(0)
    names = [f"{n:03d}" for n in range(200)]
    clips = EvaluationSet(
        scores={name: rng.random((50, 1)) for name in names},
        hop_s=0.2,
        ground_truth={
            name: [Event(onset_s=1.0, offset_s=3.0, label="cat")] if n < 20 else []
            for n, name in enumerate(names)
        },
        durations_s=dict.fromkeys(names, 10.0),
        classes=["cat"],
    )
    each_once = np.ones((1, len(names)))
    whole, short = psds_counts(clips, PSDS2), psds_counts(clips, PSDS2, each_once)
    assert len(short.per_class[0].thresholds) < len(whole.per_class[0].thresholds) / 10
    assert_equal_results(short.result(), whole.result())


def assert_equal_results(one: PSDSResult, other: PSDSResult) -> None:
    assert one.value == other.value
    assert one.per_class == pytest.approx(other.per_class, abs=0, nan_ok=True)
    np.testing.assert_array_equal(one.effective_fpr_per_hour, other.effective_fpr_per_hour)
    assert_equal_curves(one, other)


def assert_equal_curves(one: PSDSResult, other: PSDSResult) -> None:
    assert one.class_curves.keys() == other.class_curves.keys()
    for name, curve in one.class_curves.items():
        for ours, theirs in zip(curve, other.class_curves[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def one_clip(
    column: list[float], truth: list[tuple[float, float]], **changes: Any
) -> EvaluationSet:
    fields: dict[str, Any] = {
        "scores": {"a": np.array(column, dtype=np.float64)[:, None]},
        "hop_s": 1.0,
        "ground_truth": {"a": [Event(onset_s=a, offset_s=b, label="cat") for a, b in truth]},
        "durations_s": {"a": float(len(column))},
        "classes": ["cat"],
    }
    return EvaluationSet(**(fields | changes))


def test_a_perfect_detector_scores_one() -> None:
    assert psds(one_clip([0, 0.9, 0.8, 0, 0.9], [(1, 3), (4, 5)]), PSDS1).value == 1.0


def test_overlapping_events_count_as_one_and_touching_ones_as_two() -> None:
    scores = [0.0, 0.9, 0.9, *[0.0] * 20]
    united = psds(one_clip(scores, [(1.0, 3.0)]), PSDS1)
    assert united.value == 1.0
    for overlapping in ([(1.0, 2.5), (2.0, 3.0)], [(1.0, 3.0), (1.5, 2.0)]):
        result = psds(one_clip(scores, overlapping), PSDS1)
        assert result.value == 1.0
        assert_equal_curves(result, united)
    touching = psds(one_clip(scores, [(1.0, 3.0), (3.0, 6.0)]), PSDS1)
    assert touching.class_curves["cat"][0][0] == 0.5


def test_a_class_without_events_is_nan_and_left_out() -> None:
    clips = one_clip([0, 1, 1, 0], [(1, 3)])
    two = replace(clips, scores={"a": np.eye(4)[:, :2]}, classes=["cat", "dog"])
    result = psds(two, PSDS2)
    assert math.isnan(result.per_class["dog"])
    assert list(result.class_curves) == ["cat"]
    assert result.value == result.per_class["cat"]
    with pytest.raises(ValueError, match="no event of any class"):
        psds(one_clip([0, 1], []), PSDS1)


def test_false_positives_and_duration_of_clips_without_events_count() -> None:
    clips = one_clip([0, 1, 1, 0], [(1, 3)])
    quiet = {"b": np.full((4, 1), -math.inf)}
    loud = {"b": np.array([[2.0], [0], [2], [0]])}
    both = {"ground_truth": clips.ground_truth | {"b": []}, "durations_s": {"a": 1800, "b": 1800}}
    low = psds(replace(clips, scores=clips.scores | quiet, **both), PSDS1)
    high = psds(replace(clips, scores=clips.scores | loud, **both), PSDS1)
    assert low.value == 1.0
    # Two false positives in one hour come before the event is found.
    assert high.effective_fpr_per_hour.tolist() == [0.0, 2.0]
    assert high.value == pytest.approx(0.98)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": {}}, "scores: clip 'a' of the ground truth is missing"),
        ({"durations_s": {}}, "durations_s: clip 'a' of the ground truth is missing"),
        ({"scores": {"a": np.zeros((2, 1)), "b": np.zeros((2, 1))}}, "clip 'b' is not in the gr"),
        ({"scores": {"a": np.array([[0.1], [np.nan]])}}, "clip 'a': scores hold NaN"),
        ({"scores": {"a": np.array([[0.1], [np.inf]])}}, "clip 'a': scores hold NaN or"),
        ({"scores": {"a": np.zeros((2, 2))}}, "clip 'a': scores \\(2, 2\\), expected"),
        ({"scores": {"a": np.zeros((0, 1))}}, "at least one frame"),
        ({"scores": {"a": np.zeros((2, 1), dtype=int)}}, "expected floats"),
        ({"classes": ["dog"]}, "label 'cat' is not one of the classes"),
        ({"classes": []}, "one or more distinct names"),
        ({"durations_s": {"a": 0.0}}, "clip 'a': duration 0.0 s"),
        ({"hop_s": 0.0}, "hop_s=0.0"),
        ({"hop_s": {"a": np.array([0.0, 2.0, 1.0])}}, "2 frames"),
        ({"ground_truth": {}, "scores": {}, "durations_s": {}}, "no clips"),
    ],
)
def test_a_bad_evaluation_set_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_clip([0.0, 1.0], [(0, 1)], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtc": 0.0}, "dtc=0.0"),
        ({"gtc": 1.1}, "gtc=1.1"),
        ({"cttc": math.nan}, "cttc=nan"),
        ({"cttc": None}, "give cttc too"),
        ({"alpha_st": -1.0}, "alpha_st=-1.0"),
        ({"e_max": 0.0}, "e_max=0.0"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PSDS2, **changes)
