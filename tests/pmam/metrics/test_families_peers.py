"""Numbers at thresholds, areas and error rates against sed_scores_eval, on random sets."""

import warnings
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from psds_cases import realistic

from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.families import FAMILIES, Evaluated
from pmam.metrics.settings import MetricSettings

LIMIT = 0.3
SETTINGS = MetricSettings(offset_collar_part=0.0)


@pytest.fixture(scope="module")
def peer() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("sed_scores_eval", reason="peers group not installed")


@pytest.fixture(scope="module")
def clips() -> EvaluationSet:
    return replace(realistic(25, seed=3), threshold=LIMIT)


def ours(clips: EvaluationSet, family: str) -> dict[str, dict[str, float]]:
    evaluated = Evaluated(scores=clips)
    found = FAMILIES[family](evaluated, SETTINGS, np.ones((1, len(clips.clips))))
    return {metric: {of: float(x[0]) for of, x in each.items()} for metric, each in found.items()}


def theirs(peer: ModuleType, clips: EvaluationSet) -> tuple[Any, Any]:
    frames = {
        clip: peer.base_modules.scores.create_score_dataframe(
            clips.scores[clip].astype(np.float64), clips.edges_s(clip), list(clips.classes)
        )
        for clip in clips.clips
    }
    truth = {
        clip: [(e.onset_s, e.offset_s, e.label) for e in events]
        for clip, events in clips.ground_truth.items()
    }
    return frames, truth


def test_segments(peer: ModuleType, clips: EvaluationSet) -> None:
    frames, truth = theirs(peer, clips)
    lengths = dict(clips.durations_s)
    options = {"threshold": LIMIT, "segment_length": 1.0}
    f1, precision, recall, _ = peer.segment_based.fscore(frames, truth, lengths, **options)
    errors, inserted, deleted, _ = peer.segment_based.error_rate(frames, truth, lengths, **options)
    found = ours(clips, "segment")
    for name, expected in (
        *(("f1", f1), ("precision", precision), ("recall", recall), ("error_rate", errors)),
        *(("insertion_rate", inserted), ("deletion_rate", deleted)),
    ):
        for label in clips.classes:
            assert found[f"segment_{name}"][label] == pytest.approx(expected[label]), (name, label)
    partial, _ = peer.segment_based.auroc(
        frames, truth, lengths, segment_length=1.0, max_fpr=SETTINGS.max_fpr
    )
    ranked = ours(clips, "segment_ranking")["segment_partial_auc"]
    assert ranked["macro"] == pytest.approx(partial["mean"])
    assert {label: ranked[label] for label in clips.classes} == pytest.approx(
        {label: partial[label] for label in clips.classes}
    )
    assert 0.05 < ranked["macro"] < 0.95


@pytest.mark.parametrize("family", ["event", "intersection", "clip"])
def test_numbers_at_a_threshold(peer: ModuleType, clips: EvaluationSet, family: str) -> None:
    frames, truth = theirs(peer, clips)
    module, options = {
        "event": (
            peer.collar_based,
            {"onset_collar": 0.2, "offset_collar": 0.2, "offset_collar_rate": 0.0},
        ),
        "intersection": (peer.intersection_based, {"dtc_threshold": 0.5, "gtc_threshold": 0.5}),
        "clip": (peer.clip_based, {}),
    }[family]
    if family == "clip":
        truth = {clip: {label for *_, label in events} for clip, events in truth.items()}
    f1, precision, recall, _ = module.fscore(frames, truth, threshold=LIMIT, **options)
    found = ours(clips, family)
    for name, expected in (("f1", f1), ("precision", precision), ("recall", recall)):
        for label in clips.classes:
            assert found[f"{family}_{name}"][label] == pytest.approx(expected[label]), name
    assert found[f"{family}_f1"]["macro"] > 0
