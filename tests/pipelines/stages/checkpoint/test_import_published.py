"""`pmam import`: published prototypes and pseudo labels, and pretraining from them."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.cli.main import main
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import open_dataset, read_prototypes
from pipelines.runtime.stage import record_of
from pipelines.stages.checkpoint.import_published import TableWorker

pytestmark = pytest.mark.usefixtures("ray_session")
HOP_S, FRAMES, K = 0.04, 13, 4


def write_table(file: Path, posteriors: np.ndarray, hop_s: float = HOP_S) -> None:
    """As PMAM's code writes it: rounded to 4 decimals."""
    file.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(len(posteriors))[:, None] * hop_s
    rows = np.concatenate([times, times + hop_s, posteriors], axis=1).round(4)
    head = "\t".join(["onset", "offset", *map(str, range(posteriors.shape[1]))])
    np.savetxt(file, rows, fmt="%.4f", delimiter="\t", header=head, comments="")


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, np.ndarray]:
    """A table for each clip of the source but one; folders as in the published archive."""
    random = np.random.default_rng(0)
    found = {
        name: random.dirichlet(np.full(K, 0.3), FRAMES) for name in ("weak/a", "weak/b", "strong/s")
    }
    for name, posteriors in found.items():
        write_table(tmp_path / "meta" / f"{name}.tsv", posteriors)
    write_table(tmp_path / "meta" / "val" / "elsewhere.tsv", found["weak/a"])
    return found


def test_pseudo_labels_become_posteriors(
    dataset: Path,
    tables: dict[str, np.ndarray],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    out = tmp_path / "posteriors"
    with caplog.at_level(logging.WARNING, "pmam"):
        main(["import", "posteriors", str(tmp_path / "meta"), str(dataset), str(out)])
    assert "1 of 3 weak clips have no table: pretraining leaves them out" in caplog.text
    frames = open_frames(str(out))
    assert (frames.spec.kind, frames.spec.width, frames.spec.hop_s) == ("posteriors", K, HOP_S)
    by_id = {row.source_id: row.key for row in open_dataset(str(dataset)).rows}
    assert len(frames) == len(tables)
    for name, posteriors in tables.items():
        assert np.abs(frames.read(by_id[name]) - posteriors).max() <= 1 / 500
    result = record_of(str(out))["result"]
    assert (result["clips"], result["frames"], result["without"]) == (3, 3 * FRAMES, {"weak": 1})


def test_tables_that_no_clip_has(
    dataset: Path, tables: dict[str, np.ndarray], tmp_path: Path, refused: Callable[..., str]
) -> None:
    meta = tmp_path / "meta"
    command = ("import", "posteriors", meta, dataset, tmp_path / "out")
    assert "no clips of the subsets test" in refused(*command, "--subsets", "test")
    write_table(meta / "again" / "a.tsv", tables["weak/b"])
    assert "a second table of the clip weak/a" in refused(*command)
    (tmp_path / "empty").mkdir()
    command = ("import", "posteriors", tmp_path / "empty", dataset, tmp_path / "out")
    assert "no table of any clip of the dataset; expected files such as" in refused(*command)


def test_tables_that_are_not_alike(tables: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, file = tmp_path / "meta", tmp_path / "meta" / "weak" / "b.tsv"
    worker = TableWorker(str(folder), str(tmp_path / "out"), K, HOP_S)
    plan = {"output": "frames/0.arrow", "tables": {"key": "weak/b.tsv"}}
    write_table(file, tables["weak/b"][:, :3])
    with pytest.raises(ValueError, match=rf"{file}: 3 prototypes every 0.04 s; expected 4"):
        worker(plan)
    write_table(file, tables["weak/b"], hop_s=0.02)
    with pytest.raises(ValueError, match=r"4 prototypes every 0.02 s; expected 4"):
        worker(plan)
    file.write_text("filename\tlabel\n")
    with pytest.raises(ValueError, match=rf"{file}: got columns filename, label"):
        worker(plan)
    assert not list((tmp_path / "out").rglob("*.arrow"))


def test_published_means_become_prototypes(tmp_path: Path, refused: Callable[..., str]) -> None:
    file, out = tmp_path / "gmm_means.pt", tmp_path / "prototypes"
    torch.save(means := torch.randn(K, 12), file)
    main(["import", "prototypes", str(file), str(out)])
    assert torch.equal(read_prototypes(str(out)).means_in_feature_space().float(), means)
    torch.save(means[0], file)
    line = refused("import", "prototypes", file, tmp_path / "other")
    assert "expected finite means (K, D)" in line


def test_pretraining_starts_from_what_was_imported(
    dataset: Path,
    tables: dict[str, np.ndarray],
    models: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    torch.save(torch.randn(K, 12), tmp_path / "gmm_means.pt")
    torch.save(torch.randn(K + 1, 12), tmp_path / "more.pt")
    for file in ("gmm_means", "more"):
        main(["import", "prototypes", str(tmp_path / f"{file}.pt"), str(tmp_path / file)])
    main(["import", "posteriors", str(tmp_path / "meta"), str(dataset), str(tmp_path / "labels")])
    command = [
        *(
            "pretrain",
            str(dataset),
            str(tmp_path / "out"),
            "--posteriors",
            str(tmp_path / "labels"),
        ),
        *("--start", str(models / "encoder"), "--training.optimizer.steps", "2"),
        *("--training.crop-s", "0.5", "--training.batch.strong", "1"),
    ]
    line = refused(*command, "--prototypes", str(tmp_path / "more"))
    assert f"{tmp_path}/labels: posteriors of 4 prototypes every 0.04 s; expected those of" in line
    main([*command, "--prototypes", str(tmp_path / "gmm_means")])
    assert (tmp_path / "out" / "pretrained.safetensors").is_file()


@pytest.mark.slow
def test_a_run_starts_from_a_dataset_and_from_published_labels(
    tables: dict[str, np.ndarray], dataset: Path, tmp_path: Path
) -> None:
    """Neither fit nor label, and nothing embedded that nobody reads."""
    torch.save(torch.randn(K, 12), tmp_path / "gmm_means.pt")
    main(["import", "prototypes", str(tmp_path / "gmm_means.pt"), str(tmp_path / "means")])
    main(["import", "posteriors", str(tmp_path / "meta"), str(dataset), str(tmp_path / "labels")])
    short = []
    for stage in ("pretrain", "finetune"):
        short += [f"--{stage}.training.optimizer.steps", "1", f"--{stage}.training.crop-s", "0.5"]
    main(
        [
            *(
                "run",
                "--preset",
                "own_data-scratch",
                "--dataset",
                str(dataset),
                "--iterations",
                "1",
            ),
            *("--prototypes", str(tmp_path / "means"), "--posteriors", str(tmp_path / "labels")),
            *("--out", str(tmp_path / "run"), "--no-baseline", *short),
        ]
    )
    stages = {path.parent.name for path in (tmp_path / "run").glob("*/stage.json")}
    assert stages == {"embed-1", "pretrain-1", "finetune"}
    assert record_of(str(tmp_path / "run" / "embed-1"))["result"]["outputs"] == []


def test_recordings_of_too_low_a_rate(
    shared_dir: Path, dataset: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    """Upper bands that a pretrained encoder listens to are not in them."""
    weights = shared_dir / "data" / "efficientat" / "mn04_as_mAP_432.pt"
    embed = ("embed", dataset, tmp_path / "out", "--encoder.name", "mn04")
    line = refused(*embed, "--encoder.weights", weights)
    assert "4 of 4 clips have a low rate, such as " in line
    assert "with 16000 Hz; the encoder mn04 has learnt from 32000 Hz" in line


def test_an_empty_subset_is_told(
    tmp_path: Path, models: Path, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = ["finetune", str(dataset), str(tmp_path / "out"), "--start", str(models / "detector")]
    command += ["--training.optimizer.steps", "1", "--training.crop-s", "0.5"]
    command += ["--context.width", "16", "--context.layers", "1", "--context.heads", "2"]
    with caplog.at_level(logging.WARNING, "pmam"):
        main([*command, "--context.hidden", "16"])
    assert "no clips of unlabeled: a batch is 8 strong, 8 weak" in caplog.text
