"""Intervals over resamples: percentiles, groups, pairs, and the same from all routes."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from psds_cases import realistic

from pmam.errors import InputError
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import detected
from pmam.metrics.events.event_f1 import event_counts
from pmam.metrics.families import FAMILIES, Evaluated, resampled
from pmam.metrics.intervals import (
    Resampled,
    bootstrap_interval,
    cluster_draws,
    interval_of,
    quantiles,
    with_each_once,
)
from pmam.metrics.polyphonic.psds import PSDS1, PSDS2, psds_counts
from pmam.metrics.ranking.areas import frame_numbers
from pmam.metrics.ranking.average_precision import clip_table, frame_table
from pmam.metrics.settings import MetricSettings


def test_interval_of_a_mean_is_near_the_normal_one() -> None:
    values = np.random.default_rng(3).standard_normal(400)
    draws = cluster_draws(range(400), 2000, seed=1)
    interval = bootstrap_interval(lambda w: float(w @ values / w.sum()), draws)
    half = 1.96 * values.std() / 20
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.015)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.015)


def test_pairs_cancel_what_both_share() -> None:
    hard = np.random.default_rng(4).standard_normal(100)
    weights = with_each_once(cluster_draws(range(100), 50))
    means = weights @ hard / 100
    first = Resampled.of({"mean": {"macro": means + 0.1}})
    second = Resampled.of({"mean": {"macro": means, "cat": means}})
    (difference,) = first.minus(second)
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))
    assert difference.below_zero == 0 and second.minus(first)[0].below_zero == 1
    alone = first.interval("mean")
    assert alone.high - alone.low > 0.2 and math.isnan(alone.below_zero)
    assert second.classes("mean") == ["cat"]


def test_clips_of_one_recording_are_drawn_together() -> None:
    draws = cluster_draws(["b", "a", "b", "c"], 200, seed=5)
    assert (draws[:, 0] == draws[:, 2]).all()
    assert (draws[:, :2].sum(axis=1) + draws[:, 3] == 3).all()
    assert len(np.unique(draws, axis=0)) == 10  # of 3 groups: 3 + 6 + 1 ways


def test_resamples_without_a_number_say_nothing() -> None:
    found = interval_of(0.5, np.array([np.nan, 0.2, 0.4, np.nan]), 0.5, signed=True)
    assert (found.low, found.high, found.below_zero) == pytest.approx((0.25, 0.35, 0.0))
    nothing = interval_of(0.5, np.full(3, np.nan))
    assert nothing.value == 0.5 and math.isnan(nothing.low) and math.isnan(nothing.high)


@pytest.mark.filterwarnings("error")
def test_bounds_of_infinite_numbers_are_infinite() -> None:
    inf = float("inf")
    found = interval_of(inf, np.full(9, inf))
    assert (found.low, found.high) == (inf, inf)
    found = interval_of(3.0, np.array([inf, 1.0, 2.0, inf, 3.0]), 0.5)
    assert (found.low, found.high) == (2.0, inf)
    found = interval_of(1.0, np.array([-inf, -inf, 1.0, 2.0]), 0.6, signed=True)
    assert (found.low, found.high, found.below_zero) == (-inf, pytest.approx(1.4), 0.5)
    found = interval_of(1.0, np.array([1.0, 2.0, inf]), 0.5)  # half-way to infinity
    assert (found.low, found.high) == (1.5, inf)


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).standard_normal(101)
    parts = [0.0, 0.025, 0.123, 0.5, 0.975, 1.0]
    np.testing.assert_allclose(quantiles(values, parts), np.quantile(values, parts), atol=1e-14)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match=r"level=1\.5"):
        interval_of(0.0, np.zeros(3), 1.5)
    with pytest.raises(InputError, match="0 clips"):
        cluster_draws([], 10)
    with pytest.raises(InputError, match="-1 resamples"):
        cluster_draws(["a"], -1)


@pytest.fixture(scope="module")
def clips() -> EvaluationSet:
    return replace(realistic(12, seed=7), threshold=0.4)


SINGLE: dict[str, Callable[[EvaluationSet, np.ndarray], float]] = {
    "psds1": lambda clips, w: psds_counts(clips, PSDS1).result(w).value,
    "psds2": lambda clips, w: psds_counts(clips, PSDS2).result(w).value,
    "event_f1": lambda clips, w: (
        event_counts(detected(clips).points[""], clips.ground_truth, clips.classes).result(w).value
    ),
    "frame_ap": lambda clips, w: frame_table(clips).result(w).value,
    "clip_ap": lambda clips, w: clip_table(clips).result(w).value,
}


def test_many_resamples_at_once_are_each_of_them_alone(clips: EvaluationSet) -> None:
    draws = cluster_draws(clips.clips, 8)
    evaluated = Evaluated(scores=clips)
    found = resampled(evaluated, (), MetricSettings(), draws)
    for metric, single in SINGLE.items():
        alone = [single(clips, weights) for weights in draws]
        np.testing.assert_allclose(found.resamples[metric, "macro"], alone, atol=1e-12)
        assert found.value[metric, "macro"] == pytest.approx(single(clips, np.ones(12)))
    assert {name for name, _ in found.value} > set(SINGLE)


def test_numbers_of_a_resample_are_those_of_its_clips(clips: EvaluationSet) -> None:
    """Of all families, against sets in which the clips really come several times."""
    (draw,) = cluster_draws(clips.clips, 1, seed=2)
    chosen = [clip for clip, n in zip(clips.clips, draw, strict=True) for _ in range(int(n))]
    taken = clips.take(chosen)
    settings = MetricSettings()
    for name, family in FAMILIES.items():
        of = Evaluated(scores=clips)
        found = family(of, settings, draw[None])
        again = Evaluated(scores=taken)
        expected = family(again, settings, np.ones((1, len(chosen))))
        assert found.keys() == expected.keys() and found
        for metric, values in found.items():
            for label, value in values.items():
                np.testing.assert_allclose(
                    value, expected[metric][label], atol=1e-9, err_msg=f"{name} {metric} {label}"
                )


def test_micro_numbers_of_too_many_scores_are_left_out(
    clips: EvaluationSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    weights = np.ones((1, len(clips.clips)))
    whole = frame_numbers(clips, weights)
    monkeypatch.setattr("pmam.metrics.ranking.areas.MOST_POOLED", 100)
    with caplog.at_level("INFO", "pmam"):
        less = frame_numbers(clips, weights)
    assert "no micro numbers" in caplog.text
    assert "micro" in whole["ap"] and "micro" not in less["ap"]
    assert less["ap"]["macro"] == whole["ap"]["macro"]
