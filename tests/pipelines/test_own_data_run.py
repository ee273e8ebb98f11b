"""The preset `own_data` on a folder of recordings: a real pretrained encoder, on a CPU."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from pipelines.cli.main import main
from pipelines.runtime.stage import record_of

RATE, CLIPS = 32000, 4
LABELS = {"strong": ("high", "low"), "validation": ("high", "low"), "test": ("high", "low")}


def write_folder(folder: Path) -> Path:
    """Strongly and weakly labelled tones in the layout of the source `folder`; none unlabelled."""
    random = np.random.default_rng(0)
    for subset in ("strong", "weak", "validation", "test"):
        (folder / subset).mkdir(parents=True)
        rows = []
        for clip in range(CLIPS):
            label = ("high", "low")[clip % 2]
            time = np.arange(2 * RATE) / RATE
            tone = np.sin(2 * np.pi * (3000 if label == "high" else 300) * time)
            wave = 0.01 * random.standard_normal(len(time)) + 0.2 * tone * (time > 1)
            sf.write(folder / subset / f"{clip}.flac", wave, RATE)
            times = "" if subset == "weak" else "1.0\t2.0\t"
            rows.append(f"{clip}.flac\t{times}{label}")
        head = (
            "filename\tevent_labels" if subset == "weak" else "filename\tonset\toffset\tevent_label"
        )
        (folder / f"{subset}.tsv").write_text("\n".join([head, *rows]) + "\n")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("ray_session")
def test_it_learns_two_tones(shared_dir: Path, tmp_path: Path) -> None:
    weights = shared_dir / "data" / "efficientat" / "mn04_as_mAP_432.pt"
    command = ["run", "--preset", "own_data", "--data", str(write_folder(tmp_path / "data"))]
    command += ["--out", str(tmp_path / "run"), "--encoder.weights", str(weights)]
    command += ["--encoder.pca", "16", "--fit.k", "3", "--fit.pca", "4", "--no-baseline"]
    command += ["--pretrain.training.optimizer.steps", "20"]
    command += ["--finetune.training.optimizer.steps", "60"]
    for stage in ("pretrain", "finetune"):
        command += [f"--{stage}.training.crop-s", "2"]
    main(command)
    results = json.loads((tmp_path / "run" / "evaluate" / "results.json").read_text())
    assert results["test"]["frame_ap"]["value"] > 0.9
    assert record_of(str(tmp_path / "run" / "embed-1"))["result"]["clips"] == 4 * CLIPS
