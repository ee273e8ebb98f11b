"""A whole run: every artifact, nothing done twice, and the same numbers after kills."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_run import COUNTS, numbers, start, tiny_settings, write_config

from pipelines.inference.frame_job import open_frames
from pipelines.run import RunResult, run
from pipelines.runtime.files.urls import read_prototypes, store
from pipelines.runtime.stage import record_of
from pipelines.stages.score import export_scores
from shards.dataset import Dataset
from shards.repair.verification import verify

STAGES = (
    *("soundscapes", "dataset"),
    *(f"{name}-{n}" for n in (1, 2) for name in ("embed", "fit", "label", "pretrain")),
    *("finetune", "score", "evaluate"),
)


def test_every_stage_is_whole(finished: tuple[Path, RunResult]) -> None:
    out, result = finished
    assert {path.parent.name for path in out.glob("*/stage.json")} == set(STAGES)
    assert Path(result.detector).is_file()
    assert set(result.numbers["test"]) == {"psds1", "psds2", "event_f1", "frame_ap", "clip_ap"}
    assert all(0 <= m["value"] <= 1 for m in result.numbers["test"].values())
    assert not list(out.rglob(".part-*"))


def test_the_dataset_is_what_was_asked_for(finished: tuple[Path, RunResult]) -> None:
    out, _ = finished
    dataset = Dataset.open(store(str(out / "dataset")))
    assert dataset.manifest.totals.subsets == COUNTS
    assert len(dataset.manifest.shards) > 1
    assert verify(dataset.store, 1.0).ok
    assert all(row.events is not None for row in dataset.select(["strong", "test"]))
    assert all(row.events is None for row in dataset.select(["weak", "unlabeled"]))
    assert all(row.weak is not None for row in dataset.select(["weak"]))


def test_scores_for_other_programs(finished: tuple[Path, RunResult], tmp_path: Path) -> None:
    out, _ = finished
    shutil.copytree(out / "score", tmp_path / "score")
    scores = str(tmp_path / "score")
    frames, classes = open_frames(scores), record_of(scores)["result"]["classes"]
    assert list(frames.spec.columns) == classes
    counts = [export_scores(str(out / "dataset"), scores, name) for name in ("npz", "tsv")]
    assert counts == [len(frames)] * 2
    rows = {row.source_id: row for row in Dataset.open(out / "dataset").rows}
    for path in (tmp_path / "score" / "npz").rglob("*.npz"):
        row = rows[str(path.relative_to(tmp_path / "score" / "npz").with_suffix(""))]
        held = np.load(path)
        assert held["classes"].tolist() == classes
        assert np.array_equal(held["scores"], frames.read(row.key))
        assert held["edges_s"][-1] == pytest.approx(row.duration_s, abs=frames.spec.hop_s)
    table = next((tmp_path / "score" / "tsv").rglob("*.tsv")).read_text().splitlines()
    assert table[0].split("\t") == ["onset", "offset", *classes]


def test_posteriors_are_those_of_the_prototypes(finished: tuple[Path, RunResult]) -> None:
    out, _ = finished
    posteriors = open_frames(str(out / "label-2"))
    embeddings = open_frames(str(out / "embed-2"))
    prototypes = read_prototypes(str(out / "fit-2"))
    assert set(posteriors) == set(embeddings)
    key = next(iter(posteriors))
    found = posteriors.read(key)
    assert found.shape[1] == 4
    positions = embeddings.positions(key)
    assert positions is not None
    import torch

    expected = prototypes.posteriors(torch.from_numpy(embeddings.read(key))).numpy()
    assert np.abs(found[positions] - expected).max() <= 1 / 255


def test_a_second_run_does_nothing(finished: tuple[Path, RunResult]) -> None:
    out, result = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert run(tiny_settings(), str(out)) == result
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}


def test_curves_are_kept(finished: tuple[Path, RunResult]) -> None:
    out, _ = finished
    assert list((out / "finetune" / "tensorboard").iterdir())
    assert json.loads((out / "finetune" / "result.json").read_text())["steps"] == 6


def kill(process, wait_s: float) -> bool:  # type: ignore[no-untyped-def]
    """Kill a run with all its workers; true if it was still at work."""
    time.sleep(wait_s)
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return alive


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(3))
def test_kills_at_random_moments_change_nothing(
    finished: tuple[Path, RunResult], tmp_path: Path, seed: int
) -> None:
    """The same command until it ends: the same numbers, weights and dataset."""
    undisturbed, _ = finished
    config = write_config(tmp_path / "run.json", tiny_settings())
    moments = np.random.default_rng(seed).uniform(8, 60, size=6)
    kills = sum(kill(start(config, tmp_path / "out"), float(moment)) for moment in moments)
    last = start(config, tmp_path / "out")
    output, _ = last.communicate(timeout=600)
    assert last.returncode == 0, output
    assert kills > 0
    assert numbers(tmp_path / "out") == numbers(undisturbed)
    assert not list((tmp_path / "out").rglob(".part-*"))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_kill_of_the_driver_alone_changes_nothing(
    finished: tuple[Path, RunResult], tmp_path: Path
) -> None:
    """Ray and its workers outlive their driver for a while; the same command works at once."""
    undisturbed, _ = finished
    config, out = write_config(tmp_path / "run.json", tiny_settings()), tmp_path / "out"
    for stage in ("dataset", "label-1"):
        process = start(config, out)
        deadline = time.monotonic() + 600
        while not (out / stage / "parts").exists():
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)  # the driver; not its group
        process.wait()
        assert process.stdout is not None
        process.stdout.close()  # its workers hold the other end
    last = start(config, out)
    output, _ = last.communicate(timeout=900)
    assert last.returncode == 0, output
    assert numbers(out) == numbers(undisturbed)
    assert not list(out.rglob(".part-*"))
