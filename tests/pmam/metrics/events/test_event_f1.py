import math
import warnings
from dataclasses import replace
from itertools import permutations
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_f1 import Collars, event_counts, event_f1, matched
from pmam.metrics.events.event_thresholds import best_thresholds

CLASSES = ["cat", "dog"]


@st.composite
def evaluation_sets(draw: st.DrawFn) -> EvaluationSet:
    """Short frames and short events: collars are wide enough for several pairs to fit."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 5, 1000]))
    scores, truth = {}, {}
    for index in range(draw(st.integers(1, 6))):
        clip = f"clip{index}"
        events, active = [], np.zeros((40, 2))
        for column, label in enumerate(CLASSES):
            time_s = round(float(rng.uniform(0, 1)), 2)
            while time_s < 3.5 and rng.random() < 0.8:
                end_s = round(time_s + float(rng.choice([0.1, 0.2, 1.0])), 2)
                events.append(Event(onset_s=time_s, offset_s=end_s, label=label))
                active[int(time_s * 10) : int(end_s * 10), column] = 0.7
                time_s = round(end_s + float(rng.choice([0.1, 0.5])), 2)
        noise = rng.random((40, 2)) * 0.7
        scores[clip] = np.round((active + noise) * levels) / levels
        truth[clip] = events
    # Every class has an event and a detection: sed_scores_eval fails without.
    truth["last"] = [Event(onset_s=0.0, offset_s=1.0, label=label) for label in CLASSES]
    scores["last"] = np.full((40, 2), 0.5)
    return EvaluationSet(
        scores=scores,
        hop_s=0.1,
        ground_truth=truth,
        durations_s=dict.fromkeys(scores, 4.0),
        classes=CLASSES,
    )


@pytest.fixture(scope="module")
def sed_scores_eval() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("sed_scores_eval", reason="peers group not installed")


def peer_inputs(peer: ModuleType, clips: EvaluationSet, collars: Collars) -> dict[str, Any]:
    return {
        "scores": {
            clip: peer.base_modules.scores.create_score_dataframe(
                clips.scores[clip], clips.edges_s(clip), list(clips.classes)
            )
            for clip in clips.clips
        },
        "ground_truth": {
            clip: [(e.onset_s, e.offset_s, e.label) for e in events]
            for clip, events in clips.ground_truth.items()
        },
        "onset_collar": collars.onset_s,
        "offset_collar": collars.offset_s,
        "offset_collar_rate": collars.offset_part,
    }


all_collars = st.builds(
    Collars,
    onset_s=st.sampled_from([0.1, 0.2, 0.5]),
    offset_s=st.sampled_from([0.1, 0.2, 0.5]),
    offset_part=st.sampled_from([0.0, 0.2, 0.5]),
)


@settings(max_examples=60, deadline=None)
@given(
    clips=evaluation_sets(), collars=all_collars, threshold=st.sampled_from([0.1, 0.3, 0.55, 0.9])
)
def test_equals_sed_scores_eval(
    sed_scores_eval: ModuleType, clips: EvaluationSet, collars: Collars, threshold: float
) -> None:
    result = event_f1(clips, threshold, collars)
    f1, precision, recall, counts = sed_scores_eval.collar_based.fscore(
        threshold=threshold, **peer_inputs(sed_scores_eval, clips, collars)
    )
    assert result.value == pytest.approx(f1["macro_average"], abs=1e-9)
    assert result.micro_f1 == pytest.approx(f1["micro_average"], abs=1e-9)
    for label in CLASSES:
        assert result.per_class[label] == pytest.approx(f1[label], abs=1e-9)
        assert result.precision[label] == pytest.approx(precision[label], abs=1e-9)
        assert result.recall[label] == pytest.approx(recall[label], abs=1e-9)
        assert result.tp[label] == counts[label]["tps"]
        assert result.fp[label] == counts[label]["fps"]
        assert result.tp[label] + result.fn[label] == counts[label]["n_ref"]


@settings(max_examples=60, deadline=None)
@given(clips=evaluation_sets(), collars=all_collars)
def test_best_thresholds_reach_the_best_f1_of_sed_scores_eval(
    sed_scores_eval: ModuleType, clips: EvaluationSet, collars: Collars
) -> None:
    best = best_thresholds(clips, collars)
    at_best = event_f1(clips, [best[label] for label in CLASSES], collars)
    f1, *_ = sed_scores_eval.collar_based.best_fscore(
        **peer_inputs(sed_scores_eval, clips, collars)
    )
    assert at_best.per_class == pytest.approx({c: f1[c] for c in CLASSES}, abs=1e-9)


@given(arrays(bool, st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_matching_is_the_largest(fits: np.ndarray) -> None:
    small, large = (fits, fits.shape) if fits.shape[0] <= fits.shape[1] else (fits.T, fits.T.shape)
    best = max(
        sum(small[row, column] for row, column in enumerate(columns))
        for columns in permutations(range(large[1]), large[0])
    )
    assert matched(fits) == best


def event(onset_s: float, offset_s: float, label: str = "cat") -> Event:
    return Event(onset_s=onset_s, offset_s=offset_s, label=label)


@pytest.mark.parametrize(
    ("detection", "hit"),
    [
        (event(1.0, 6.0), True),
        (event(1.2, 6.0), True),  # exactly on the collar
        (event(1.201, 6.0), False),
        (event(0.8, 5.0), True),  # a fifth of 5 s off at the end
        (event(1.0, 4.999), False),
        (event(1.0, 6.0, "dog"), False),
    ],
)
def test_collars(detection: Event, hit: bool) -> None:
    counts = event_counts({"a": [detection]}, {"a": [event(1.0, 6.0)]}, CLASSES)
    assert counts.tp.sum() == int(hit)
    assert counts.fp.sum() == counts.fn.sum() == 1 - int(hit)


def test_weights_are_a_resample_of_the_clips() -> None:
    detections = {"a": [event(0, 1)], "b": [event(0, 1), event(2, 3)], "c": []}
    truth = {"a": [event(0, 1)], "b": [event(0, 1)], "c": [event(0, 1)]}
    result = event_counts(detections, truth, CLASSES).result(np.array([1.0, 2.0, 0.0]))
    assert (result.tp["cat"], result.fp["cat"], result.fn["cat"]) == (3, 2, 0)
    assert result.value == result.per_class["cat"] == pytest.approx(6 / 8)


def test_a_class_without_events_is_nan_but_its_detections_count_in_micro() -> None:
    truth = {"a": [event(0, 1)]}
    result = event_counts({"a": [event(0, 1), event(0, 1, "dog")]}, truth, CLASSES).result()
    assert result.value == 1.0
    assert math.isnan(result.per_class["dog"])
    assert result.micro_f1 == pytest.approx(2 / 3)


def test_no_threshold_for_a_class_that_is_never_found() -> None:
    clips = EvaluationSet(
        scores={"a": np.array([[0.1], [0.9], [0.1]])},
        hop_s=1.0,
        ground_truth={"a": [event(0.0, 2.0)]},
        durations_s={"a": 3.0},
        classes=["cat"],
    )
    assert best_thresholds(clips) == {"cat": math.inf}
    fitting = replace(clips, ground_truth={"a": [event(1.0, 2.0)]})
    assert best_thresholds(fitting) == {"cat": 0.5}
    whole = replace(clips, ground_truth={"a": [event(0.0, 3.0)]})
    assert event_f1(whole, [best_thresholds(whole)["cat"]]).value == 1.0


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="clip 'b' is in the detections alone"):
        event_counts({"a": [], "b": []}, {"a": []}, CLASSES)
    with pytest.raises(ValueError, match="clip 'b' is in the ground truth alone"):
        event_counts({"a": []}, {"a": [], "b": []}, CLASSES)
    with pytest.raises(ValueError, match="clip 'a': label 'owl'"):
        event_counts({"a": [event(0, 1, "owl")]}, {"a": []}, CLASSES)
    with pytest.raises(ValueError, match="no positive example"):
        event_counts({"a": []}, {"a": []}, CLASSES).result()
    with pytest.raises(ValueError, match="onset_s=-1"):
        Collars(onset_s=-1.0)
