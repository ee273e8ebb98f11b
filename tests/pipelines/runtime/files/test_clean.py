"""A run that is cleaned: what goes, what stays, and that it is still done."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.clean import clean, is_remade
from pipelines.runtime.stage import Stage, run_stage

CONFIG = "run.json"


@dataclass(frozen=True)
class Settings:
    size: int = 1


FILES = {
    "soundscapes": ["strong/a.flac", "metadata/strong.tsv", "parts/0.json"],
    "dataset": ["shards/0.tar", "dataset.json", "index/clips.parquet"],
    "score": ["frames/0.arrow", "parts/0.json"],
    "finetune": ["detector.safetensors", "state/1.safetensors", "metrics/1.jsonl", "result.json"],
}
KEPT = {
    "run.json",
    "soundscapes/metadata/strong.tsv",
    "dataset/dataset.json",
    "dataset/index/clips.parquet",
    "finetune/detector.safetensors",
    "finetune/metrics/1.jsonl",
    "finetune/result.json",
    *(f"{stage}/{record}.json" for stage in FILES for record in ("plan", "stage")),
}


def made(run: Path, calls: list[str], stage: str) -> None:
    def work(at: Stage) -> dict[str, int]:
        calls.append(stage)
        for name in FILES[stage]:
            at.store.write(name, b"12345")
        return {"clips": 1}

    run_stage(stage, str(run / stage), work, settings=Settings(), inputs={}, version=1)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for stage in FILES:
        made(tmp_path, [], stage)
    (tmp_path / CONFIG).write_text("{}")
    return tmp_path


def names(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_results_and_records_stay(run: Path) -> None:
    """And nothing else; no empty folder is left, and the sizes told are those on the disk."""
    before = names(run)
    done = clean(str(run), CONFIG)
    assert names(run) == KEPT
    assert done.files == len(before - KEPT)
    assert done.freed == 5 * done.files
    assert done.files_left == len(KEPT)
    assert done.bytes_left == sum((run / name).stat().st_size for name in KEPT)
    assert all(any(path.iterdir()) for path in run.rglob("*") if path.is_dir())
    record = json.loads((run / "score" / "stage.json").read_text())
    assert record["cleaned"] == {"files": 2, "bytes": 10}
    assert record["result"] == {"clips": 1}


def test_stages_are_still_done(run: Path) -> None:
    """Also after a second cleaning, which finds nothing."""
    clean(str(run), CONFIG)
    assert clean(str(run), CONFIG).files == 0
    calls: list[str] = []
    for stage in FILES:
        made(run, calls, stage)
    assert calls == []
    assert names(run) == KEPT


def test_a_killed_cleaning_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is written before anything goes, so that no stage is refused meanwhile."""
    from shards.io.store import Store

    delete = Store.delete

    def fails(self: Store, name: str) -> None:
        if name == "parts/0.json":
            raise KeyboardInterrupt
        delete(self, name)

    monkeypatch.setattr(Store, "delete", fails)
    with pytest.raises(KeyboardInterrupt):
        clean(str(run), CONFIG)
    calls: list[str] = []
    for stage in FILES:
        made(run, calls, stage)
    assert calls == []
    monkeypatch.undo()
    clean(str(run), CONFIG)
    assert names(run) == KEPT


def test_an_unfinished_run_is_refused(run: Path) -> None:
    """What is there is needed to go on."""
    (run / "finetune" / "stage.json").unlink()
    before = names(run)
    with pytest.raises(PipelineError, match="finetune not finished"):
        clean(str(run), CONFIG)
    assert names(run) == before


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """Nothing of somebody else's is removed."""
    (tmp_path / "song.wav").write_bytes(b"1")
    with pytest.raises(PipelineError, match=r"no run\.json"):
        clean(str(tmp_path), CONFIG)
    assert (tmp_path / "song.wav").exists()


@pytest.mark.parametrize("name", ["detector.safetensors", "results.json", "index/a.parquet"])
def test_results_are_not_remade(name: str) -> None:
    """By their names."""
    assert not is_remade(name)
