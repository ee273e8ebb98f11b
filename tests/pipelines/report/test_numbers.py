"""Numbers with intervals, paired differences, and what counts as missed, false or badly placed."""

import csv
import io

import pytest
from report_cases import output, run_of

from pipelines.report.comparison import Output, answer, class_rows, metrics_csv, pairs
from pipelines.report.mistakes import mistakes, worst
from pipelines.report.numbers import measured
from pipelines.stages.evaluate.settings import EvaluateSettings
from pmam.metrics.intervals import bootstrap_interval, cluster_draws
from pmam.metrics.polyphonic.psds import PSDS1, psds_counts

CLASSES = ["cat", "dog"]
FEW = EvaluateSettings(resamples=60)
TRUTH = {
    "a": [(0.5, 1.5, "dog"), (2.0, 3.0, "cat")],
    "b": [(1.0, 2.0, "dog")],
    "c": [],
    "d": [(0.0, 1.0, "cat")],
    "e": [(3.0, 4.0, "dog")],
}
FOUND = {
    "a": [(0.5, 1.5, "dog"), (2.0, 3.0, "cat")],
    "b": [(1.3, 2.9, "dog")],
    "c": [(1.0, 2.0, "cat")],
    "d": [(0.0, 1.0, "dog")],
}
WORSE = {"a": [(0.5, 1.5, "dog")], "c": [(1.0, 2.0, "cat"), (2.5, 3.5, "dog")]}


def test_each_wrong_event_is_of_one_kind() -> None:
    found = mistakes(output(TRUTH, FOUND, CLASSES))
    clips = list(TRUTH)
    assert [(m.kind, clips[m.clip], m.label) for m in found] == [
        ("missed", "d", "cat"),
        ("missed", "e", "dog"),
        ("false", "c", "cat"),
        ("false", "d", "dog"),
        ("badly placed", "b", "dog"),
    ]
    placed = found[-1]
    assert placed.badness == pytest.approx(0.3 + 0.9)
    assert placed.span_s == pytest.approx((1.0, 2.9))
    assert found[0].badness == pytest.approx(0.5 - 0.2)
    assert found[2].badness == pytest.approx(0.9 - 0.5)


def test_one_detection_over_two_events_is_one_of_them() -> None:
    truth = {"a": [(0.5, 1.0, "dog"), (1.5, 3.0, "dog")]}
    found = mistakes(output(truth, {"a": [(0.5, 3.5, "dog")]}, CLASSES))
    assert [m.kind for m in found] == ["missed", "badly placed"]
    assert found[0].truth is not None and found[0].truth.offset_s == 1.0  # the lesser overlap


def test_the_worst_of_every_class_come_first() -> None:
    truth = {f"{n}": [(1.0, 2.0, "dog")] for n in range(4)} | {"x": [(1.0, 2.0, "cat")]}
    chosen = worst(mistakes(output(truth, {}, CLASSES)), 2)
    assert sorted(m.label for m in chosen) == ["cat", "dog"]
    assert worst(mistakes(output(truth, {}, CLASSES)), 0) == []


def outputs() -> list[Output]:
    run = run_of("one")
    of = [output(TRUTH, FOUND, CLASSES, run=run), output(TRUTH, WORSE, CLASSES, arm=1, run=run)]
    return [Output(name=o.arm.name, scored=o, numbers=measured(o, FEW)) for o in of]


def test_values_are_those_of_the_metrics_and_differences_are_paired() -> None:
    both = outputs()
    (pair,) = pairs(both)
    gain = pair.difference("psds1")
    first, second = (psds_counts(o.scored.clips, PSDS1) for o in both)
    expected = bootstrap_interval(
        lambda w: first.result(w).value - second.result(w).value, cluster_draws(range(5), 60)
    )
    assert gain.value == pytest.approx(expected.value)
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))
    assert gain.below_zero == 0.0


def test_what_cannot_be_compared_is_not() -> None:
    first = outputs()[0]
    other_clips = output({"z": [(0.0, 1.0, "dog")]}, {}, CLASSES, run=run_of("two"))
    other = Output(
        name="two",
        scored=other_clips,
        numbers=measured(other_clips, FEW),
    )
    assert pairs([first, other]) == []
    said = answer([first, other], [])
    assert [line.endswith("there is nothing to compare it with.") for line in said] == [True, True]
    both = outputs()
    said = answer([*both, other], pairs([*both, other]))
    assert len(said) == 2 and said[1].startswith("two reaches a PSDS1")
    assert said[1].endswith("on 1 test clip; it is of other clips or classes.")
    unmeasured = Output(name="empty", scored=first.scored, numbers=None)
    assert pairs([unmeasured, first]) == []
    assert answer([unmeasured], []) == []


def test_later_runs_are_compared_with_the_first() -> None:
    one, alone = outputs()
    second = output(TRUTH, WORSE, CLASSES, run=run_of("two"))
    two = Output(name="two: PMAM", scored=second, numbers=measured(second, FEW))
    found = pairs([one, alone, two])
    assert [(p.first.name, p.second.name) for p in found] == [
        ("PMAM", "labels alone"),
        ("two: PMAM", "PMAM"),
    ]
    said = answer([one, alone, two], found)
    assert ["two: PMAM" in line and "5 test clips" in line for line in said] == [False, True]
    rows = class_rows([one, alone, two], found)
    assert len(rows) == 5 * len(CLASSES)
    assert all(len(row["cells"]) == 3 + 2 for row in rows)
    assert rows[0]["events"] == 2


def test_the_table_of_numbers_has_a_row_each() -> None:
    rows = list(csv.DictReader(io.StringIO(metrics_csv({"test": outputs()}))))
    assert len(rows) > 2 * 5 * (1 + len(CLASSES))
    overall = next(r for r in rows if r["metric"] == "psds1" and r["class"] == "macro")
    counts = psds_counts(output(TRUTH, FOUND, CLASSES).clips, PSDS1)
    assert float(overall["value"]) == counts.result().value
    assert float(overall["low"]) <= float(overall["value"]) <= float(overall["high"])
