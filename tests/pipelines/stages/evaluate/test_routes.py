"""The same numbers from every form of truth and of output."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import evaluate_cases as cases
import pytest

from pipelines.cli.main import main
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.evaluate.stage import evaluate, results_of

RATES = ("error", "insertion", "deletion", "substitution")
QUICK = ("--resamples", "0", "--no-pictures")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Truth and scores of one detector in all forms, in a folder with spaces in its name."""
    folder = tmp_path_factory.mktemp("with spaces") / "some where"
    folder.mkdir()
    truth, scores = cases.drawn()
    found = {
        "table": cases.write_truth(folder, truth),
        "dataset": cases.write_dataset(folder, truth),
        "tsv": cases.write_score_tables(folder / "tsv", scores),
        "csv": cases.write_score_tables(folder / "csv", scores, ","),
        "npz": cases.write_npz(folder / "npz", scores),
        "ours": cases.write_ours(folder / "ours", scores),
        "events": cases.write_events(folder / "events.tsv", scores, 0.5),
        "lengths": folder / "lengths.tsv",
        "audio": folder,
    }
    return {name: str(path) for name, path in found.items()}


@pytest.fixture(scope="module")
def expected(places: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("expected") / "out"
    main(["evaluate", places["dataset"], places["ours"], "--out", str(out), *QUICK])
    return cases.numbers(out)


@pytest.mark.parametrize(
    ("form", "lengths"),
    [("tsv", "dataset"), ("csv", "lengths"), ("npz", "audio"), ("ours", "lengths")],
)
def test_scores_of_any_form(
    places: dict[str, str], expected: dict, tmp_path: Path, form: str, lengths: str
) -> None:
    truth = [places["dataset"]]
    if lengths != "dataset":
        option = "--durations" if lengths == "lengths" else "--audio"
        truth = [places["table"], option, places[lengths]]
    main(["evaluate", truth[0], places[form], "--out", str(tmp_path / "out"), *truth[1:], *QUICK])
    assert len(expected) > 60
    assert cases.numbers(tmp_path / "out") == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert expected["psds1", "macro"] > 0 and expected["event_f1", "macro"] > 0


def test_events_at_one_threshold(places: dict[str, str], expected: dict, tmp_path: Path) -> None:
    main(["evaluate", places["dataset"], places["events"], "--out", str(tmp_path / "out"), *QUICK])
    found = cases.numbers(tmp_path / "out")
    of_scores = ("psds", "frame_", "segment_ap", "segment_auc", "segment_d_", "segment_partial")
    of_scores += ("clip_ap", "clip_auc", "clip_d_prime")
    assert {key for key in expected if not key[0].startswith(of_scores)} == {
        key for key in found if not key[0].startswith("psds")
    }
    for key, value in found.items():
        if not key[0].startswith("psds"):
            assert value == pytest.approx(expected[key], nan_ok=True), key


ONE_POINT = {  # numbers that need one operating point alone
    f"{family}_{number}"
    for family in ("event", "segment", "intersection", "clip")
    for number in ("f1", "precision", "recall")
} | {f"{family}_{kind}_rate" for family in ("event", "segment") for kind in RATES}


def test_stage_foreign_scores_and_events_say_the_same(
    places: dict[str, str], expected: dict, tmp_path: Path
) -> None:
    """The stage on our dataset and shards, others' score tables, and events at one threshold."""
    settings = EvaluateSettings(resamples=0, pictures=False)
    url = evaluate(places["dataset"], places["ours"], str(tmp_path / "stage"), settings)
    of_stage = results_of(url)["test"]
    for form in ("tsv", "events"):
        main(["evaluate", places["dataset"], places[form], "--out", str(tmp_path / form), *QUICK])
    tables, events = cases.numbers(tmp_path / "tsv"), cases.numbers(tmp_path / "events")
    stage = cases.numbers(tmp_path / "stage")
    assert stage == pytest.approx(expected, abs=0, nan_ok=True)
    assert tables == pytest.approx(stage, abs=1e-9, nan_ok=True)
    chosen = {key for key in stage if key[0] in ONE_POINT}
    assert {metric for metric, _ in chosen} == ONE_POINT
    for key in chosen:
        assert events[key] == pytest.approx(stage[key], abs=1e-9, nan_ok=True), key
    assert of_stage["event_f1"]["value"] == pytest.approx(events["event_f1", "macro"])


def test_one_point_of_the_curve(places: dict[str, str], tmp_path: Path) -> None:
    """Each operating point of scores with few levels, as a table of its own."""
    _, scores = cases.drawn()
    coarse = {clip: (values * 10).round() / 10 for clip, values in scores.items()}
    cases.write_score_tables(tmp_path / "coarse", coarse)
    (tmp_path / "points").mkdir()
    for level in range(11):
        cases.write_events(tmp_path / "points" / f"{level}.tsv", coarse, level / 10 - 0.05)
    free = ["--metric.psds-dtc", "0.5", "--metric.psds-cttc", "0.3", "--metric.psds-alpha-ct", "1"]
    found = []
    for form in ("coarse", "points"):
        out = tmp_path / f"{form}-out"
        options = ("--metrics", "psds", *free, "--metric.psds-e-max", "3000", *QUICK)
        main(["evaluate", places["dataset"], str(tmp_path / form), "--out", str(out), *options])
        found.append(cases.numbers(out))
    assert found[0]["psds", "macro"] > 0.1
    assert found[1] == pytest.approx(found[0], abs=1e-9)


def test_two_systems(places: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    _, other = cases.drawn(seed=1)
    worse = str(cases.write_score_tables(tmp_path / "worse", other))
    out = tmp_path / "out"
    options = ("--resamples", "50", "--metrics", "psds", "event", "--no-pictures")
    main(["evaluate", places["dataset"], places["npz"], worse, "--out", str(out), *options])
    rows = {
        (row["metric"], row["class"]): row
        for row in csv.DictReader((out / "differences.csv").open())
    }
    systems = json.loads((out / "systems.json").read_text())["test"]
    row = rows["event_f1", "macro"]
    gain = systems["npz"]["event_f1"]["value"] - systems["worse"]["event_f1"]["value"]
    assert float(row["difference"]) == pytest.approx(gain)
    assert float(row["low"]) <= gain <= float(row["high"])
    assert 0 <= float(row["share_below_zero"]) <= 1
    text = capfd.readouterr().out
    assert "npz, test: 6 clips; nothing lacking on either side" in text
    assert "npz - worse" in text


def test_other_filters_than_none(places: dict[str, str], tmp_path: Path) -> None:
    """The filter is that of our own scores; the independent PSDS is no less than any of them."""
    filters = ("0.25", "1.25", "2.75")
    found = []
    for width_s in filters:
        out = tmp_path / width_s
        options = ("--median-s", width_s, "--metrics", "psds", *QUICK)
        main(["evaluate", places["dataset"], places["tsv"], "--out", str(out), *options])
        found.append(cases.numbers(out))
    free = ("--metrics", "psds", "--metric.filters-s", *filters)
    main(
        ["evaluate", places["dataset"], places["tsv"], "--out", str(tmp_path / "f"), *free, *QUICK]
    )
    best = cases.numbers(tmp_path / "f")
    for label in cases.CLASSES:
        most = max(each["psds2", label] for each in found)
        assert best["pi_psds2", label] >= most - 1e-12
    assert len({each["psds2", "macro"] for each in found}) > 1


@pytest.fixture
def told(refused: Callable[..., str], places: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    def run(*words: str) -> str:
        return refused("evaluate", *words, "--out", tmp_path / "out", *QUICK)

    return run


def test_the_old_form_is_told_the_new_one(
    refused: Callable[..., str], places: dict[str, str], tmp_path: Path
) -> None:
    new = "pmam evaluate TRUTH SCORES [SCORES ...] --out FOLDER"
    assert new in refused("evaluate", places["dataset"], places["ours"], tmp_path / "out")
    line = refused(
        "evaluate", places["dataset"], places["ours"], "nowhere", "--out", tmp_path / "x"
    )
    assert "nowhere: no such scores" in line and new in line
    line = refused("evaluate", places["dataset"], places["dataset"], "--out", tmp_path / "x")
    assert "a dataset, and no scores" in line and new in line


def test_what_is_lacking_is_counted(
    told: Callable[..., str],
    places: dict[str, str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
    expected: dict,
) -> None:
    _, scores = cases.drawn()
    del scores[cases.CLIPS[0]]
    scores |= {"stranger": scores[cases.CLIPS[1]], "guest": scores[cases.CLIPS[1]]}
    fewer = str(cases.write_npz(tmp_path / "fewer", scores))
    line = told(places["dataset"], fewer)
    assert "1 of 6 clips without scores (Y0abc_00.000_10.000)" in line
    assert "2 clips without truth (stranger, guest)" in line or "(guest, stranger)" in line
    found = {}
    for choice in ("zero", "drop"):
        out = tmp_path / choice
        options = ("--out", str(out), "--on-missing", choice, *QUICK)
        main(["evaluate", places["dataset"], fewer, *options])
        assert "1 of 6 clips without scores" in capfd.readouterr().out
        found[choice] = cases.numbers(out)
    assert found["zero"]["event_recall", "micro"] < found["drop"]["event_recall", "micro"]
    assert found["drop"] != pytest.approx(expected, nan_ok=True)


def test_classes_that_do_not_fit(
    told: Callable[..., str], places: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "spelt"
    folder.mkdir()
    for path in Path(places["tsv"]).glob("*.tsv"):
        text = path.read_text().replace("dog", "Dog").replace("cat", "ca\u0301t")
        (folder / path.name).write_text(text)
    line = told(places["dataset"], str(folder))
    assert "2 of 3 classes without scores (cat, dog)" in line
    assert "nearly equal: 'dog' and 'Dog'" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [rows[0], rows[2], rows[1], *rows[3:]], "row 3: the time goes from"),
        (lambda rows: [rows[0], "-1" + rows[1][1:], *rows[2:]], "negative"),
        (lambda rows: [*rows[:3], *rows[4:]], "a frame ends at 0.5 s and the next begins at 0.75"),
        (lambda rows: [rows[0]], "no frame; expected at least one row"),
        (lambda rows: [rows[0], rows[1].replace("0.", "x.", 1), *rows[2:]], "row 2: got the onset"),
        (lambda rows: [rows[0].replace("dog", "owl"), *rows[1:]], "got the classes cat, owl"),
        (lambda rows: [], "1 file of 6 with nothing inside"),
        (
            lambda rows: [*rows[:2], rows[2].rpartition("\t")[0] + "\tinf", *rows[3:]],
            "infinite, 1 of",
        ),
        (
            lambda rows: [*rows[:2], rows[2].rpartition("\t")[0] + "\tnan", *rows[3:]],
            "infinite, 1 of",
        ),
    ],
)
def test_bad_score_tables(
    told: Callable[..., str],
    places: dict[str, str],
    tmp_path: Path,
    change: Callable[[list[str]], list[str]],
    message: str,
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    for path in Path(places["tsv"]).glob("*.tsv"):
        rows = path.read_text().splitlines()
        rows = change(rows) if cases.CLIPS[2] in path.name else rows
        (folder / path.name).write_text("\n".join(rows) + "\n")
    line = told(places["dataset"], str(folder))
    assert message in line and cases.CLIPS[2] in line


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a.wav\t-1\t2\tcat", "negative"),
        ("a.wav\t3\t2\tcat", "onset first"),
        ("a.wav\t2\t2\tcat", "1 event without a label or a length"),
        ("a.wav\t\t\t", "no event of any class"),
        ("", "names no clip"),
        ("a.wav\t1\t2\tcat\nb.wav\t1\t2\tcat", "1 clip of 2 without a length (b)"),
    ],
)
def test_bad_truths(
    told: Callable[..., str], places: dict[str, str], tmp_path: Path, rows: str, message: str
) -> None:
    truth = tmp_path / "truth.tsv"
    truth.write_text(f"filename\tonset\toffset\tevent_label\n{rows}\n")
    (tmp_path / "lengths.tsv").write_text("filename\tduration\na.wav\t10\n")
    options = ("--durations", str(tmp_path / "lengths.tsv"))
    assert message in told(str(truth), places["events"], *options)


def test_soft_labels(places: dict[str, str], tmp_path: Path) -> None:
    """Events of soft labels are those above the threshold."""
    truth = Path(places["table"]).read_text().splitlines()
    soft = [truth[0] + "\tconfidence", *(f"{row}\t0.8" for row in truth[1:-1]), truth[-1] + "\t"]
    soft.append(f"{cases.CLIPS[5]}.wav\t1\t2\tcat\t0.4")
    table = tmp_path / "soft.tsv"
    table.write_text("\n".join(soft) + "\n")
    found = []
    for path in (places["table"], str(table)):
        out = tmp_path / Path(path).stem
        lengths = ("--durations", places["lengths"])
        main(["evaluate", path, places["npz"], "--out", str(out), *lengths, *QUICK])
        found.append(cases.numbers(out))
    assert found[0] == pytest.approx(found[1], nan_ok=True)
    assert "segment_partial_auc" in {metric for metric, _ in found[0]}


def test_rows_of_all_tables_of_all_systems_are_told_at_once(
    told: Callable[..., str], places: dict[str, str], tmp_path: Path
) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for count, path in enumerate(sorted(Path(places["tsv"]).glob("*.tsv"))):
            rows = path.read_text().splitlines()
            rows[2] = "x" + rows[2] if count == 0 else rows[2]
            rows[4] = rows[4].rpartition("\t")[0] + "\toops" if count == 0 else rows[4]
            (tmp_path / folder / path.name).write_text("\n".join(rows[: 1 if count == 1 else None]))
    line = told(places["dataset"], str(tmp_path / "one"), str(tmp_path / "two"))
    assert "6 faults: " in line and line.count("no frame; expected at least one row") == 2
    assert line.count("row 3: got the") == line.count("row 5: got the") == 2
