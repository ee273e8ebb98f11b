"""The report as a page: what is in it, what stands in it as text, and what a browser does."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from browser import opened, until
from html_cases import Page
from report_cases import output, run_of
from tiny_run import tiny_settings, write_config

from pipelines.cli.main import main
from pipelines.pages.sound import excerpt
from pipelines.report.cards import Cards, card_of
from pipelines.report.comparison import Output, pairs
from pipelines.report.contents import contents
from pipelines.report.data_card import DataCard
from pipelines.report.mistakes import mistakes
from pipelines.report.model_card import plain
from pipelines.report.numbers import measured
from pipelines.report.page import OfRun, page
from pipelines.report.settings import ReportSettings
from pipelines.report.training_curves import training_charts
from pipelines.report.write import write_report
from pipelines.run import RunResult
from pipelines.stages.evaluate.settings import EvaluateSettings

ATTACK = '<script>alert("x")</script>{{ 7 * 7 }}'
FEW = EvaluateSettings(resamples=5)
QUOTE = "\"'><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def written(finished: tuple[Path, RunResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a whole run, in a folder with a space in its name."""
    out = tmp_path_factory.mktemp("report") / "a folder"
    shutil.copytree(finished[0], out / "run")  # as it is for others; here it gets cards
    write_config(out / "run" / "run.json", tiny_settings())
    settings = ReportSettings(events=3)
    return Path(write_report([str(out / "run")], str(out), settings, cards_too=True))


def test_the_report_says_what_came_out(written: Path, finished: tuple[Path, RunResult]) -> None:
    result = finished[1]
    text = written.read_text()
    shown = Page(text)
    assert all(source.startswith("data:") for source in shown.sources)
    assert len(text) < 25e6
    for name, found in result.numbers["test"].items():
        assert f'data-value="{found["value"]}"' in text, name
    assert text.count("nothing to compare") == 1
    assert "No detector of labels alone" in text  # the run has no baseline
    assert all(part in text for part in ("finetune/detector.safetensors", "algorithm version"))
    titles = re.findall(r"<h2>([^<]*)", text)
    assert [t.split(":")[0] for t in titles] == [
        *("What is worst", "Numbers", "Classes", "PSD-ROC", "Training", "Data", "Prototypes"),
        *("Settings and time", "Versions"),
    ]
    assert (written.parent / "metrics.csv").read_text().startswith("run,detector,subset,metric")


def test_the_card_tells_what_the_detector_is_worth(
    written: Path, finished: tuple[Path, RunResult]
) -> None:
    text = (written.parent / "run" / "finetune" / "README.md").read_text()
    _, meta, body = text.split("---\n", 2)
    told = yaml.safe_load(meta)
    (results,) = told["model-index"][0]["results"]
    found = {metric["type"]: metric["value"] for metric in results["metrics"]}
    expected = finished[1].numbers["test"]
    assert found == {name: round(entry["value"], 4) for name, entry in expected.items()}
    titles = re.findall("^## (.*)", body, re.MULTILINE)
    assert titles == ["Use", "Data", "Numbers", "Limits", "Licences"]
    assert all(name.replace("_", r"\_") in body for name in expected["psds1"]["per_class"])


def test_names_in_a_card_are_no_markup() -> None:
    assert plain("a|b <c>\n# d_e") == r"a\|b \<c\> \# d\_e"


def test_a_browser_plays_sorts_and_filters(written: Path) -> None:
    with opened(written) as tab:
        for width in (390, 800, 1600):
            tab.set_viewport_size({"width": width, "height": 900})
            wide = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            needed, there = tab.evaluate(wide)
            assert needed <= there, width
        cards = tab.locator(".card")
        total = cards.count()
        assert total > 1
        tab.keyboard.press("j")
        tab.keyboard.press("j")
        assert (
            tab.evaluate("[...document.querySelectorAll('.card')].indexOf(document.activeElement)")
            == 1
        )
        tab.keyboard.press("k")
        tab.keyboard.press(" ")
        until(tab, "document.querySelector('.card audio').currentTime > 0.1")
        left = "parseFloat(document.querySelector('.card .cursor').style.left) > 0"
        until(tab, left)
        tab.keyboard.press(" ")
        assert tab.evaluate("document.querySelector('.card audio').paused")

        kind = cards.nth(0).get_attribute("data-kind")
        tab.select_option("select[data-filter=kind]", kind)
        shown = tab.locator(".card:not([hidden])")
        assert shown.count() == tab.locator(f'.card[data-kind="{kind}"]').count() > 0
        assert f"{shown.count()} of {total} shown" in tab.inner_text(".filters output >> nth=0")

        cells = "document.querySelectorAll('.of-class:not([hidden]) td:nth-child(4)')"
        values = f"[...{cells}].map((cell) => Number(cell.dataset.value))"
        head = tab.locator("table:has(.of-class) thead th >> nth=3")
        head.locator("button").click()
        found = tab.evaluate(values)
        assert found == sorted(found) and len(found) > 1
        head.locator("button").click()
        assert tab.evaluate(values) == sorted(found, reverse=True)
        assert head.get_attribute("aria-sort") == "descending"


def hostile(name: str) -> str:
    """A page in which everything that has a name has this one."""
    run = run_of(name)
    truth, found = {name: [(0.5, 1.5, name)], "b": []}, {"b": [(1.0, 2.0, name)]}
    both = [
        output(truth, found, [name, "other"], run=run),
        output(truth, {name: [(0.5, 1.5, name)]}, [name, "other"], arm=1, run=run),
    ]
    outputs = [
        Output(name=f"{name} {each.arm.name}", scored=each, numbers=measured(each, FEW))
        for each in both
    ]
    sound = excerpt(np.zeros(16000, np.float32), (0.0, 4.0))
    wrong = mistakes(both[0])
    cards = [card_of(both[0], mistake, sound, both[1]) for mistake in wrong]
    data = DataCard(
        **{"name": name, "licence": name, "classes": (name,), "subsets": [(name,) * 6]},
        **{"labels": [(name, name)], "label_head": ("class", name), "inspected": False},
        findings=[{"severity": "note", "what": name, "count": 1, "advice": name}],
        hours=1.0,
        clips=1,
    )
    shown = OfRun(
        run=run,
        data=data,
        prototypes=None,
        mistakes=wrong,
        cards=Cards(cards=cards, left_out=1, failed=[name]),
    )
    return page([shown], {"test": outputs}, {"test": pairs(outputs)}, FEW)


@pytest.mark.parametrize("name", [ATTACK, QUOTE, "犬の声", "a&b"])
def test_names_are_text(name: str) -> None:
    text, plain = hostile(name), hostile("plain")
    shown = Page(text)
    assert shown.tags == Page(plain).tags
    assert text.count("<script>") == plain.count("<script>") == 1
    assert text.count("<img") == plain.count("<img")
    assert "49" not in re.findall(r"alert\([^)]*\)&lt;/script&gt;(\d+)", text)
    assert name not in text or name == "犬の声"


def test_the_one_script_is_the_one_that_the_policy_allows() -> None:
    text = hostile("plain")
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_a_run_that_has_hardly_begun_is_shown_as_far_as_it_got(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "soundscapes").mkdir(parents=True)
    write_config(out / "run.json", tiny_settings())
    plan = {"format_version": 2, "fingerprint": "f", "stage": "soundscapes"}
    (out / "soundscapes" / "plan.json").write_text(json.dumps(plan))
    before = sorted(out.rglob("*"))
    main(["report", str(out), "--out", str(tmp_path / "report")])
    text = (tmp_path / "report" / "report.html").read_text()
    assert "Nothing is measured yet" in text
    assert "soundscapes (begun)" in text
    assert "No dataset is packed yet" in text
    assert sorted(out.rglob("*")) == before


def test_curves_are_of_what_a_training_logged(tmp_path: Path) -> None:
    out = tmp_path / "run"
    (out / "finetune" / "metrics").mkdir(parents=True)
    rows = [
        {"step": step, "loss": 1 / step, "lr/body": 0.1, "validation/student_psds1": 0.5}
        for step in (10, 20)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (out / "finetune" / "metrics" / "00000020.jsonl").write_text(lines)
    write_config(out / "run.json", tiny_settings())
    charts = training_charts(contents(str(out)))
    assert [chart.title for chart in charts] == [
        "finetune: losses",
        "finetune: on validation clips",
    ]
    assert charts[0].curves[0].points == "0.00,0.00 100.00,50.00"
    assert [curve.name for curve in charts[1].curves] == ["student psds1"]


def test_what_is_no_run_is_one_line(tmp_path: Path, refused) -> None:  # type: ignore[no-untyped-def]
    assert "run.json" in refused("report", tmp_path)
    (tmp_path / "run.json").write_text("[]")
    assert "not the configuration" in refused("report", tmp_path)
    write_config(tmp_path / "run.json", tiny_settings())
    assert "each once" in refused("report", tmp_path, tmp_path)
