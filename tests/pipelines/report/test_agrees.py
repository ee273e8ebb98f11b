"""The report's numbers and intervals are those of `pmam evaluate`, of one detector and of two."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import evaluate_cases as cases
import pytest
from report_cases import run_of

from pipelines.cli.main import main
from pipelines.report.comparison import Output, metrics_csv, pairs
from pipelines.report.contents import ARMS
from pipelines.report.numbers import FAMILIES, measured, scored
from pipelines.stages.evaluate.settings import EvaluateSettings

SETTINGS = EvaluateSettings(resamples=40, seed=3, level=0.9)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def number(text: str) -> float:
    return float(text) if text else math.nan


def test_the_same_numbers_intervals_and_differences(tmp_path: Path) -> None:
    truth, scores = cases.drawn()
    _, other = cases.drawn(seed=1)
    dataset = cases.write_dataset(tmp_path, truth)
    for name, of in (("score", scores), ("score-supervised", other)):
        cases.write_ours(tmp_path / name, of)
    main(
        [
            *("evaluate", dataset, str(tmp_path / "score"), str(tmp_path / "score-supervised")),
            *("--out", str(tmp_path / "out"), "--metrics", *FAMILIES, "--no-pictures"),
            *("--resamples", "40", "--seed", "3", "--level", "0.9"),
        ]
    )
    run = run_of("one")
    run = replace(
        run,
        url=str(tmp_path),
        dataset=dataset,
        folders={arm.score: arm.score for arm in ARMS},
        settings=replace(run.settings, evaluate=SETTINGS),
    )
    outputs = []
    for arm in ARMS:
        of = scored(run, arm, "test")
        assert of is not None and len(of.rows) == len(cases.CLIPS)
        outputs.append(Output(name=arm.name, scored=of, numbers=measured(of, SETTINGS)))

    names = {arm.name: arm.score for arm in ARMS}
    ours = {
        (names[row["detector"]], row["metric"], row["class"]): row
        for row in rows(metrics_csv({"test": outputs}))
    }
    theirs = {
        (row["system"], row["metric"], row["class"]): row
        for row in rows((tmp_path / "out" / "metrics.csv").read_text())
    }
    assert ours.keys() == theirs.keys() and len(ours) > 100
    for key, row in ours.items():
        for column in ("value", "low", "high"):
            same = pytest.approx(number(theirs[key][column]), abs=1e-12, nan_ok=True)
            assert number(row[column]) == same, (key, column)

    (pair,) = pairs(outputs)
    found = [
        row
        for row in rows((tmp_path / "out" / "differences.csv").read_text())
        if row["metric"] == "psds1" and row["class"] in ("macro", *cases.CLASSES)
    ]
    assert len(found) == 4
    for row in found:
        gain = pair.difference("psds1", row["class"])
        told = [number(row[name]) for name in ("difference", "low", "high", "share_below_zero")]
        assert told == pytest.approx(
            [gain.value, gain.low, gain.high, gain.below_zero], abs=1e-12, nan_ok=True
        )
