"""Post-processing chosen on some clips and applied to others."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evaluate_cases as cases
import pytest

from pipelines.cli.main import main

QUICK = ("--resamples", "0", "--no-pictures")


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Truth and scores of two sets of clips of one detector."""
    found = {}
    for name, seed in (("validation", 0), ("test", 2)):
        folder = tmp_path_factory.mktemp(name)
        truth, scores = cases.drawn(seed)
        table = cases.write_truth(folder, truth)
        tables = cases.write_score_tables(folder / f"scores {name}", scores)
        found[name] = [str(table), str(tables), "--durations", str(folder / "lengths.tsv")]
    return found


def test_chosen_on_one_set_and_applied_to_another(
    sets: dict[str, list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    choose = ("--choose.metric", "event_f1", "--choose.medians-s", "0.75", "1.25")
    out, applied, plain = (str(tmp_path / name) for name in ("chosen", "applied", "plain"))
    few = ("--metrics", "event", *QUICK)
    main(["evaluate", *sets["validation"], "--out", out, *choose, "--choose.by-class", *few])
    assert "too good" in caplog.text
    file = Path(out) / "postprocess.json"
    (chosen,) = json.loads(file.read_text()).values()
    assert chosen["threshold_by_class"].keys() <= set(cases.CLASSES)
    assert chosen["threshold_by_class"] and chosen["median_by_class_s"]

    main(["evaluate", *sets["test"], "--out", applied, "--postprocess", str(file), *few])
    by_hand = []
    for option in ("threshold_by_class", "median_by_class_s"):
        by_hand.append("--" + option.replace("_", "-"))
        by_hand += [word for name, x in chosen[option].items() for word in (name, str(x))]
    by_hand += ["--median-s", str(chosen["median_s"])]
    main(["evaluate", *sets["test"], "--out", plain, *by_hand, *few])
    same = cases.numbers(tmp_path / "applied")
    assert same == pytest.approx(cases.numbers(tmp_path / "plain"), nan_ok=True)
    main(["evaluate", *sets["validation"], "--out", str(tmp_path / "as they are"), *few])
    better = cases.numbers(tmp_path / "chosen")["event_f1", "macro"]
    assert better > cases.numbers(tmp_path / "as they are")["event_f1", "macro"]


def chosen_of(out: Path) -> dict[str, Any]:
    (found,) = json.loads((out / "postprocess.json").read_text()).values()
    return dict(found)


def test_what_was_chosen_before_is_chosen_anew(sets: dict[str, list[str]], tmp_path: Path) -> None:
    few = ("--metrics", "event", *QUICK, "--choose.metric", "event_f1")
    windows = ("--choose.medians-s", "0.75", "1.25", "--choose.by-class")
    first, again, given = tmp_path / "first", tmp_path / "again", tmp_path / "given"
    main(["evaluate", *sets["validation"], "--out", str(first), *few, *windows])
    old = dict.fromkeys(cases.CLASSES, 0.9)
    stored = {"median_s": 0.0, "median_by_class_s": old, "threshold_by_class": old}
    file = tmp_path / "stored.json"
    file.write_text(json.dumps({"a": stored}))
    before = ("--postprocess", str(file))
    main(["evaluate", *sets["validation"], "--out", str(again), *before, *few, *windows])
    found, expected = chosen_of(again), chosen_of(first)
    # What nothing can be chosen for keeps what was stored.
    for key in ("median_by_class_s", "threshold_by_class"):
        assert found[key] == {**old, **expected[key]}
    name = next(iter(expected["threshold_by_class"]))
    fixed = ("--threshold-by-class", name, "0.123")
    main(["evaluate", *sets["validation"], "--out", str(given), *before, *few, *fixed])
    assert chosen_of(given)["threshold_by_class"][name] == 0.123
    assert chosen_of(given)["median_by_class_s"] == old  # no windows to choose from


def test_boxes_of_classes_are_chosen_and_applied(
    sets: dict[str, list[str]], tmp_path: Path
) -> None:
    few = ("--metrics", "psds", *QUICK)
    boxes = ("--method", "boxes", "--choose.metric", "psds1")
    one, each, applied = tmp_path / "one", tmp_path / "each", tmp_path / "applied"
    main(["evaluate", *sets["validation"], "--out", str(one), *boxes, *few])
    main(["evaluate", *sets["validation"], "--out", str(each), *boxes, "--choose.by-class", *few])
    assert chosen_of(one)["boxes_by_class"] == {}
    assert set(chosen_of(each)["boxes_by_class"]) <= set(cases.CLASSES)
    of_one, of_each = cases.numbers(one), cases.numbers(each)
    names = [name for metric, name in of_one if metric == "psds1" and name in cases.CLASSES]
    assert names and all(of_each["psds1", name] >= of_one["psds1", name] for name in names)
    file = str(each / "postprocess.json")
    main(["evaluate", *sets["validation"], "--out", str(applied), "--postprocess", file, *few])
    assert cases.numbers(applied) == pytest.approx(of_each, nan_ok=True)


def test_a_file_that_does_not_fit_is_refused(
    sets: dict[str, list[str]], tmp_path: Path, refused: Callable[..., str]
) -> None:
    def told(text: str) -> str:
        file = tmp_path / "postprocess.json"
        file.write_text(text)
        words = (*sets["test"], "--out", tmp_path / "out", "--postprocess", file)
        return refused("evaluate", *words, *QUICK)

    assert "no post-processing" in told("[1, 2]")
    assert "no post-processing" in told('{"a": {"median_s": -1}}')
    assert "no post-processing" in told('{"a": {"medain_s": 1}}')
    assert "2 systems (a, b)" in told('{"a": {}, "b": {}}')
    words = (*sets["test"], "--out", tmp_path / "out", "--postprocess", tmp_path / "nowhere.json")
    assert "no such file" in refused("evaluate", *words)
