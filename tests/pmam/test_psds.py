import csv
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmam.events import Event, decode
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.psds import PSDS1, PSDS2, PSDSResult, PSDSSettings, psds, psds_counts
from pmam.metrics.segments import detected_segments

CLASSES = ["cat", "dog", "tap"]


@st.composite
def evaluation_sets(draw: st.DrawFn) -> EvaluationSet:
    """Small sets on purpose: few distinct scores (ties), times on and off the frame borders."""
    hop_s = draw(st.sampled_from([0.1, 0.25, 0.3]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([2, 4, 1000]))
    on_borders = draw(st.booleans())
    scores, truth, durations = {}, {}, {}
    for index in range(draw(st.integers(1, 6))):
        frames = int(rng.integers(1, 25))
        scores[f"clip{index}"] = np.round(rng.random((frames, 3)) * levels) / levels
        durations[f"clip{index}"] = frames * hop_s
        truth[f"clip{index}"] = random_events(rng, frames, hop_s, on_borders)
    # Every class has an event and a false positive: sed_scores_eval fails without.
    scores["silence"], truth["silence"], durations["silence"] = np.full((2, 3), 0.5), [], 2 * hop_s
    truth["clip0"] += [
        Event(onset_s=0.0, offset_s=1.7, label=name)
        for name in CLASSES
        if not any(event.label == name for events in truth.values() for event in events)
    ]
    return EvaluationSet(
        scores=scores, hop_s=hop_s, ground_truth=truth, durations_s=durations, classes=CLASSES
    )


def random_events(
    rng: np.random.Generator, frames: int, hop_s: float, on_borders: bool
) -> list[Event]:
    """Events that do not touch others of their class; some reach past the end of the clip."""
    events = []
    for label in CLASSES:
        time_s = 0.0
        for _ in range(int(rng.integers(0, 4))):
            onset, length = rng.uniform(0, 1.0), rng.uniform(0.05, 1.5)
            if on_borders:
                onset, length = hop_s * rng.integers(0, 4), hop_s * rng.integers(1, 6)
            onset_s = round(float(time_s + onset + 0.01 * (time_s > 0)), 3)
            offset_s = round(float(onset_s + length), 3)
            if onset_s >= frames * hop_s:
                break
            events.append(Event(onset_s=onset_s, offset_s=offset_s, label=label))
            time_s = offset_s
    return events


all_settings = st.builds(
    PSDSSettings,
    dtc=st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    gtc=st.sampled_from([0.1, 0.5, 0.7, 1.0]),
    cttc=st.sampled_from([0.3, 0.5, 1.0]),
    alpha_ct=st.sampled_from([0.0, 0.5, 1.0]),
    alpha_st=st.sampled_from([0.0, 0.5, 1.0]),
    e_max=st.sampled_from([100.0, 2000.0, 20000.0]),
)


@pytest.fixture(scope="module")
def sed_scores_eval() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("sed_scores_eval", reason="peers group not installed")


def theirs(peer: ModuleType, clips: EvaluationSet, parameters: PSDSSettings) -> Any:
    frames = {
        clip: peer.base_modules.scores.create_score_dataframe(
            np.asarray(clips.scores[clip], dtype=np.float64),
            clips.edges_s(clip),
            list(clips.classes),
        )
        for clip in clips.clips
    }
    truth = {
        clip: [(e.onset_s, e.offset_s, e.label) for e in events]
        for clip, events in clips.ground_truth.items()
    }
    return peer.intersection_based.psds(
        frames,
        truth,
        dict(clips.durations_s),
        dtc_threshold=parameters.dtc,
        gtc_threshold=parameters.gtc,
        cttc_threshold=parameters.cttc if parameters.alpha_ct else None,
        alpha_ct=parameters.alpha_ct,
        alpha_st=parameters.alpha_st,
        max_efpr=parameters.e_max,
    )


def assert_equal(ours: PSDSResult, peer: Any) -> None:
    value, per_class, _, curves = peer
    assert ours.value == pytest.approx(value, abs=1e-9)
    assert ours.per_class == pytest.approx(per_class, abs=1e-9)
    for name, row in zip(ours.per_class, ours.tpr, strict=True):
        tpr, rate, _ = curves[name]
        # A point at e_max itself has no width: rounding decides whether it is there.
        below = rate < ours.effective_fpr_per_hour.max() - 1e-6
        tpr, rate = tpr[below], rate[below]
        at = np.searchsorted(ours.effective_fpr_per_hour, rate + 1e-6, side="right") - 1
        np.testing.assert_allclose(row[at], tpr, atol=1e-9)


@settings(max_examples=120, deadline=None)
@given(clips=evaluation_sets(), parameters=all_settings)
def test_equals_sed_scores_eval(
    sed_scores_eval: ModuleType, clips: EvaluationSet, parameters: PSDSSettings
) -> None:
    assert_equal(psds(clips, parameters), theirs(sed_scores_eval, clips, parameters))


def realistic(clips: int, seed: int) -> EvaluationSet:
    """Ten-second clips of 156 frames and 10 classes, with scores that follow the events."""
    rng = np.random.default_rng(seed)
    classes = [f"class{index}" for index in range(10)]
    centre_s = (np.arange(156) + 0.5) * 10 / 156
    scores, truth = {}, {}
    for index in range(clips):
        logits = np.cumsum(rng.standard_normal((156, 10)), axis=0) * 0.4 - 3
        events = []
        for column in rng.choice(10, size=rng.integers(0, 5), replace=False):
            onset_s = round(float(rng.uniform(0, 9)), 3)
            offset_s = round(onset_s + float(rng.uniform(0.25, 4)), 3)
            events.append(Event(onset_s=onset_s, offset_s=offset_s, label=classes[column]))
            logits[(centre_s > onset_s) & (centre_s < offset_s), column] += 8
        truth[f"clip{index:04d}"] = events
        scores[f"clip{index:04d}"] = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return EvaluationSet(
        scores=scores,
        hop_s=10 / 156,
        ground_truth=truth,
        durations_s=dict.fromkeys(scores, 10.0),
        classes=classes,
    )


@pytest.mark.parametrize("parameters", [PSDS1, PSDS2, replace(PSDS2, alpha_ct=1.0, alpha_st=0.0)])
def test_equals_sed_scores_eval_on_realistic_clips(
    sed_scores_eval: ModuleType, parameters: PSDSSettings
) -> None:
    clips = realistic(60, seed=0)
    ours = psds(clips, parameters)
    assert ours.value > 0.01
    assert_equal(ours, theirs(sed_scores_eval, clips, parameters))


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_events(path: Path) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = {}
    for row in read_table(path):
        if row["event_label"]:
            times = {"onset_s": float(row["onset"]), "offset_s": float(row["offset"])}
            events.setdefault(row["filename"], []).append(Event(**times, label=row["event_label"]))
    return events


def merge(events: list[Event]) -> list[Event]:
    """Overlapping events of one class as one; simple and slow, to test the other one against."""
    done: list[Event] = []
    for event in sorted(events):
        for index, other in enumerate(done):
            if other.label == event.label and event.onset_s < other.offset_s:
                end = max(event.offset_s, other.offset_s)
                done[index] = replace(other, offset_s=end)
                break
        else:
            done.append(event)
    return done


def as_scores(
    detections: Mapping[str, list[Event]], clips: list[str], classes: list[str]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Frames between all borders of detections; 1 in a detection, never detected outside."""
    scores, edges = {}, {}
    for clip in clips:
        events = detections.get(clip, [])
        times = {0.0, 10.0, *(e.onset_s for e in events), *(e.offset_s for e in events)}
        edges[clip] = np.array(sorted(times))
        scores[clip] = np.full((len(times) - 1, len(classes)), -np.inf)
        for event in events:
            inside = (edges[clip][:-1] >= event.onset_s) & (edges[clip][1:] <= event.offset_s)
            scores[clip][inside, classes.index(event.label)] = 1.0
    return scores, edges


def psds_eval_of(
    truth: Mapping[str, list[Event]],
    durations_s: Mapping[str, float],
    operating_points: list[Mapping[str, list[Event]]],
    parameters: PSDSSettings,
) -> float:
    peer = pytest.importorskip("psds_eval", reason="peers group not installed")
    pandas = pytest.importorskip("pandas", reason="peers group not installed")

    def table(events: Mapping[str, list[Event]]) -> Any:
        rows = [(c, e.onset_s, e.offset_s, e.label) for c, es in events.items() for e in es]
        return pandas.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = peer.PSDSEval(
            dtc_threshold=parameters.dtc,
            gtc_threshold=parameters.gtc,
            cttc_threshold=1.0 if parameters.cttc is None else parameters.cttc,
            ground_truth=table(truth),
            metadata=pandas.DataFrame(durations_s.items(), columns=["filename", "duration"]),
        )
        for detections in operating_points:
            evaluator.add_operating_point(table(detections))
        return float(
            evaluator.psds(
                alpha_ct=parameters.alpha_ct,
                alpha_st=parameters.alpha_st,
                max_efpr=parameters.e_max,
            ).value
        )


@pytest.mark.parametrize(
    "parameters",
    [
        PSDSSettings(dtc=0.5, gtc=0.5, cttc=0.3, e_max=1000),
        PSDSSettings(dtc=0.5, gtc=0.5, cttc=0.3, e_max=3000, alpha_ct=1.0),
        PSDSSettings(dtc=0.5, gtc=0.5, cttc=0.3, e_max=3000, alpha_st=0.5),
        replace(PSDS2, e_max=5000),
    ],
)
def test_equals_psds_eval_on_its_own_test_case(shared_dir: Path, parameters: PSDSSettings) -> None:
    folder = shared_dir / "data" / "psds_reference"
    detections = read_events(folder / "baseline_validation_AA_0.005.csv")
    truth = read_events(folder / "baseline_validation_gt.csv")
    durations_s = {
        row["filename"]: float(row["duration"])
        for row in read_table(folder / "baseline_validation_metadata.csv")
    }
    merged = {clip: merge(events) for clip, events in truth.items()}
    assert sum(map(len, merged.values())) < sum(map(len, truth.values())), "no overlap in the data"
    expected = psds_eval_of(merged, durations_s, [detections], parameters)
    assert expected > 0.01

    classes = sorted({event.label for events in truth.values() for event in events})
    scores, edges = as_scores(detections, list(durations_s), classes)
    clips = EvaluationSet(
        scores=scores,
        hop_s=edges,
        ground_truth={clip: truth.get(clip, []) for clip in durations_s},
        durations_s=durations_s,
        classes=classes,
    )
    assert psds(clips, parameters).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "parameters", [PSDSSettings(dtc=0.5, gtc=0.5, e_max=1000), replace(PSDS2, e_max=2000)]
)
def test_equals_psds_eval_at_every_threshold(parameters: PSDSSettings) -> None:
    clips = realistic(12, seed=1)
    coarse = {clip: np.ceil(scores * 20) / 20 for clip, scores in clips.scores.items()}
    coarse = {clip: np.maximum(scores, 0.05).astype(np.float32) for clip, scores in coarse.items()}
    points = [
        {
            clip: decode(scores, clips.classes, 10 / 156, threshold=level - 0.01)
            for clip, scores in coarse.items()
        }
        for level in np.arange(1, 21) / 20
    ]
    with_scores = replace(clips, scores=coarse)
    present = {event.label for events in clips.ground_truth.values() for event in events}
    assert present == set(clips.classes), "psds_eval needs events of every class"
    expected = psds_eval_of(
        {clip: list(events) for clip, events in clips.ground_truth.items()},
        clips.durations_s,
        points,
        parameters,
    )
    assert expected > 0.01
    assert psds(with_scores, parameters).value == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.sampled_from([-math.inf, 0.0, 0.2, 0.5, 1.0]), min_size=1, max_size=30))
def test_segments_are_the_runs_at_every_threshold(scores: list[float]) -> None:
    segments = detected_segments(np.array([*scores, -math.inf]), len(scores))
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
    weights = np.array([chosen.count(clip) for clip in clips.clips], dtype=float)
    expected = psds(clips.take(chosen), parameters)
    result = psds_counts(clips, parameters).result(weights)
    if not math.isnan(expected.value):
        assert result.value == pytest.approx(expected.value, abs=1e-9)
    assert result.per_class == pytest.approx(expected.per_class, abs=1e-9, nan_ok=True)


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
        np.testing.assert_array_equal(result.tpr, united.tpr)
    touching = psds(one_clip(scores, [(1.0, 3.0), (3.0, 6.0)]), PSDS1)
    assert touching.tpr[0, 0] == 0.5


def test_a_class_without_events_is_nan_and_left_out() -> None:
    clips = one_clip([0, 1, 1, 0], [(1, 3)])
    two = replace(clips, scores={"a": np.eye(4)[:, :2]}, classes=["cat", "dog"])
    result = psds(two, PSDS2)
    assert math.isnan(result.per_class["dog"])
    assert np.isnan(result.tpr[1]).all()
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
