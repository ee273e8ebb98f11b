"""Models, folders and settings that do not fit: one line that names them, status 2."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input_cases import truncated
from tiny_run import ROOT, tiny_settings

from pipelines.presets import demo
from pipelines.runtime.files.urls import store, write_prototypes
from pipelines.runtime.stage import run_stage
from pmam.prototypes.artifact import Prototypes
from pmam.settings import to_json
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter

pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def labels(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of posteriors (of no clip) and of prototypes."""
    folder = tmp_path_factory.mktemp("labels")

    def work(stage):  # type: ignore[no-untyped-def]
        spec = FrameSpec(kind="posteriors", width=2, dtype="sparse8", hop_s=0.04)
        with FrameWriter(folder / "frames.arrow", spec) as writer:
            writer.add("other", np.full((3, 2), 0.5, np.float32), None)
        name = stage.store.publish("frames/0.arrow", folder / "frames.arrow")
        return {"outputs": [name]}

    run_stage(
        "label", str(folder / "posteriors"), work, settings=demo().label, inputs={}, version=1
    )
    weights = torch.full((2,), 0.5, dtype=torch.float64)
    prototypes = Prototypes(
        kind="kmeans", weights=weights, means=torch.zeros(2, 64, dtype=torch.float64)
    )
    write_prototypes(store(str(folder / "prototypes")), prototypes)
    return folder / "posteriors", folder / "prototypes"


def with_checkpoint(
    command: str, dataset: Path, labels: tuple[Path, Path], out: Path, checkpoint: Path
) -> tuple[object, ...]:
    posteriors, prototypes = labels
    return {
        "score": ("score", dataset, out, "--checkpoint", checkpoint, "--subsets", "weak"),
        "detect": ("detect", dataset, "--checkpoint", checkpoint),
        "label": ("label", dataset, prototypes, out, "--checkpoint", checkpoint),
        "embed": ("embed", dataset, out, "--model", checkpoint),
        "finetune": ("finetune", dataset, out, "--start", checkpoint),
        "pretrain": (
            *("pretrain", dataset, out, "--start", checkpoint),
            *("--posteriors", posteriors, "--prototypes", prototypes),
        ),
    }[command]


@pytest.mark.parametrize("command", ["score", "detect", "label", "embed", "finetune", "pretrain"])
def test_a_missing_or_damaged_checkpoint(
    dataset: Path,
    labels: tuple[Path, Path],
    models: Path,
    source: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    command: str,
) -> None:
    files = source / "weak" if command == "detect" else dataset
    missing = with_checkpoint(command, files, labels, tmp_path / "out", tmp_path / "none")
    assert f"{tmp_path / 'none'}.safetensors: no such file; expected a checkpoint" in refused(
        *missing
    )
    damaged = models / "damaged"
    line = refused(*with_checkpoint(command, files, labels, tmp_path / "out", damaged))
    assert f"{damaged}: tensors do not match their sha256; copy or train it again" in line


@pytest.mark.parametrize("command", ["score", "detect"])
def test_a_checkpoint_of_another_kind(
    dataset: Path,
    labels: tuple[Path, Path],
    models: Path,
    source: Path,
    tmp_path: Path,
    refused: Callable[..., str],
    command: str,
) -> None:
    files = source / "weak" if command == "detect" else dataset
    encoder = models / "encoder"
    line = refused(*with_checkpoint(command, files, labels, tmp_path / "out", encoder))
    assert f"{encoder}: a SmallCNNEncoder, expected a detector; fine-tune it first" in line


def test_errors_of_a_training(
    dataset: Path, models: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Found in the loop that Ray Train runs."""
    line = refused(
        *("finetune", dataset, tmp_path / "out", "--start", models / "detector"),
        *("--context.width", "48"),
    )
    assert f"{models / 'detector'}: has ContextSettings(network='transformer_xl', width=16" in line


def test_errors_of_weights(dataset: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    out = tmp_path / "out"
    for name, said in (("mn04", "got no weights"), ("mn77", "expected one of small_cnn, mn04")):
        line = refused("embed", dataset, out, "--encoder.name", name)
        assert f"encoder {name}" in line or f"encoder '{name}'" in line
        assert said in line
    weights = tmp_path / "weights.pt"
    mn04 = ("embed", dataset, out, "--encoder.name", "mn04", "--encoder.weights", weights)
    assert str(weights) in refused(*mn04)
    weights.write_bytes(b"no weights")
    assert f"{weights}: cannot be read as weights" in refused(*mn04)
    torch.save([1, 2], weights)
    assert f"{weights}: expected a state dict of tensors" in refused(*mn04)
    torch.save({"conv.weight": torch.zeros(3)}, weights)
    assert f"{weights}: tensors do not fit" in refused(*mn04)


def test_a_folder_of_another_format(
    dataset: Path, source: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    for name in ("stage.json", "plan.json"):
        record = json.loads((copy / name).read_text())
        (copy / name).write_text(json.dumps(record | {"format_version": 99}))
    before = contents(copy)
    line = refused("pack", source, copy)
    assert f"{copy / 'stage.json'}: format version 99, expected 2; use another" in line
    assert contents(copy) == before


def test_a_folder_of_something_else(
    source: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    precious = tmp_path / "thesis"
    (precious / "figures").mkdir(parents=True)
    (precious / "figures" / "one.txt").write_text("years of work")
    before = contents(precious)
    for fresh in ((), ("--fresh",)):
        line = refused("pack", source, precious, *fresh)
        assert f"{precious}: is not empty and no stage of pmam wrote it" in line
        assert contents(precious) == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_unknown_presets_and_settings(tmp_path: Path, refused: Callable[..., str]) -> None:
    out = ("--out", tmp_path / "out")
    assert "preset 'demmo': expected one of demo, esc10" in refused("run", "--preset", "demmo")
    config = tmp_path / "run.json"
    run = ("run", "--config", config, *out)
    assert f"{config}: no such file; give the run.json of a run" in refused(*run)
    config.write_text("{")
    assert f"{config}: not JSON" in refused(*run)
    config.write_text("[]")
    assert f"{config}: expected an object" in refused(*run)
    settings = to_json(tiny_settings())
    settings["finetune"]["ema_limt"] = settings["finetune"].pop("ema_limit")
    config.write_text(json.dumps({"preset": "demo", "settings": settings}))
    line = refused(*run)
    assert f"{config}: finetune.ema_limt: unknown setting; did you mean 'ema_limit'?" in line
    assert not (tmp_path / "out").exists()


def test_unknown_commands(refused: Callable[..., str]) -> None:
    assert "no command 'fintune'; did you mean 'finetune'?" in refused("fintune")


def test_nothing_beside_the_line(source: Path, tmp_path: Path) -> None:
    """The command as a person runs it: Ray says nothing of a worker's error."""
    truncated(source)
    command = "from pipelines.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command, "pack", source, tmp_path / "out"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("pmam: error: weak/b.flac: damaged after")
    assert done.stderr.count("\n") == 1, done.stderr
