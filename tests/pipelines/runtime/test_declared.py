"""Stages that are declared by their signature."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.runtime.declared import (
    FolderUrl,
    NoSettings,
    StageUrl,
    Work,
    stage_function,
    told_only,
)
from pipelines.runtime.stage import Stage, StageError, fingerprint_of, listing_fingerprint

CALLS: list[dict[str, Any]] = []


@dataclass(frozen=True)
class Settings:
    k: int = 3


@stage_function(1)
def first(files: FolderUrl, out: str, *, name: str = "first", fresh: bool = False) -> Work:
    CALLS.append({"files": files, "out": out, "name": name})
    return Work(do=lambda stage: {"stage": stage.name}, settings=NoSettings())


@stage_function(2)
def second(
    before: StageUrl,
    out: str,
    settings: Settings,
    *,
    cache: StageUrl | None = None,
    name: str = "second",
    fresh: bool = False,
) -> Work:
    def work(stage: Stage) -> dict[str, Any]:
        stage.store.write("file", before.encode())
        return {}

    return Work(do=work, settings=settings, inputs={"more": "x"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a").write_text("a")
    monkeypatch.chdir(tmp_path)
    CALLS.clear()
    return tmp_path


def plan(url: str) -> dict[str, Any]:
    return dict(json.loads((Path(url) / "plan.json").read_text()))


def test_urls_are_absolute_and_inputs_are_named_as_in_the_signature(folder: Path) -> None:
    made = first("raw", "one")
    assert made == str(folder / "one")
    assert [{"files": str(folder / "raw"), "out": made, "name": "first"}] == CALLS
    assert plan(made)["inputs"] == {"files": listing_fingerprint(str(folder / "raw"))}
    again = second("one", "two", Settings(k=4), name="second-1")
    assert plan(again)["inputs"] == {"before": fingerprint_of(made), "more": "x"}
    assert plan(again)["settings"] == {"k": 4}
    assert plan(again)["algorithm_version"] == 2
    assert plan(again)["stage"] == "second"
    assert (folder / "two" / "file").read_text() == made
    cached = second("one", "three", Settings(), cache="one")
    assert plan(cached)["inputs"]["cache"] == fingerprint_of(made)


def test_what_is_missing_is_told_before_anything_is_written(folder: Path) -> None:
    with pytest.raises(StageError, match="no finished stage here"):
        second("nothing", "two", Settings())
    assert not (folder / "two").exists()


def test_names_alone_touch_nothing(folder: Path) -> None:
    with told_only() as told:
        assert second(first("no-folder", "run/one"), "run/two", Settings(), name="s-2")
    assert told == {"first": str(folder / "run" / "one"), "s-2": str(folder / "run" / "two")}
    assert CALLS == [] and not (folder / "run").exists()
    first("raw", "one")  # and outside, stages work again
    assert len(CALLS) == 1


def test_fresh_starts_over(folder: Path) -> None:
    url = second(first("raw", "one"), "two", Settings())
    attempt = plan(url)["attempt"]
    assert second("one", "two", Settings()) == url and plan(url)["attempt"] == attempt
    second("one", "two", Settings(), fresh=True)
    assert plan(url)["attempt"] != attempt
