"""PSDS against sed_scores_eval and psds_eval."""

import csv
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from psds_cases import all_settings, evaluation_sets, realistic

from pmam.events.decoding import decode
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import DetectionSet
from pmam.metrics.polyphonic.psds import (
    PSDS1,
    PSDS2,
    PSDSResult,
    PSDSSettings,
    event_psds_counts,
    psds,
)
from pmam.metrics.polyphonic.roc import at_rates


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
    for name, (ratio, own_rate) in ours.class_curves.items():
        row = at_rates(ratio, own_rate, ours.effective_fpr_per_hour)
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
    events = DetectionSet(
        points={"0.005": {clip: detections.get(clip, []) for clip in durations_s}},
        ground_truth=clips.ground_truth,
        durations_s=durations_s,
        classes=classes,
    )
    found = event_psds_counts(events, parameters).result()
    assert found.value == pytest.approx(expected, abs=1e-9)


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
