"""A whole run that is as small as one can be, and its numbers."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from pipelines.presets import demo
from pipelines.presets.settings import RunSettings
from pipelines.runtime.files.urls import read_checkpoint
from pipelines.stages.fit.settings import FitSettings
from pmam.settings import to_json

ROOT = Path(__file__).resolve().parents[3]
COUNTS = {"strong": 6, "weak": 6, "unlabeled": 10, "validation": 8, "test": 12}


def tiny_settings(workers: int = 0, steps: int = 6) -> RunSettings:
    """The demo with few and short clips, and few steps."""
    base = demo()
    assert base.soundscapes is not None
    scene = replace(base.soundscapes.scene, duration_s=2.0, event_max_s=1.5)
    soundscapes = replace(
        base.soundscapes,
        scene=scene,
        counts=COUNTS,
        clips_per_part=11,
        shards=False,  # so that it packs, too
    )

    def short(training):  # type: ignore[no-untyped-def]
        optimizer = replace(training.optimizer, steps=steps, warm_up_steps=2)
        return replace(
            training,
            crop_s=2.0,
            batch={"strong": 2, "weak": 2, "unlabeled": 2},
            checkpoint_every=2,
            workers=workers,
            optimizer=optimizer,
        )

    return replace(
        base,
        soundscapes=soundscapes,
        pack=replace(base.pack, name="demo", licence="CC0-1.0", shard_mb=0.3),
        fit=FitSettings(k=4, pca=8, iterations=8),
        pretrain=replace(base.pretrain, training=short(base.pretrain.training)),
        finetune=replace(base.finetune, training=short(base.finetune.training)),
        evaluate=replace(base.evaluate, resamples=10),
        baseline=False,
    )


def write_config(path: Path, settings: RunSettings) -> Path:
    """A file for `pmam run --config`."""
    path.write_text(json.dumps({"preset": "tiny", "settings": to_json(settings)}))
    return path


def start(config: Path | str, out: Path | str) -> subprocess.Popen[str]:
    """`pmam run` in a process group of its own."""
    command = [
        sys.executable,
        "-c",
        "from pipelines.cli.main import main; main()",
        "run",
        "--config",
        str(config),
        "--out",
        str(out),
    ]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def numbers(out: Path) -> dict[str, object]:
    """What a finished run found, and the weights that found it."""
    return {
        "results": json.loads((out / "evaluate" / "results.json").read_text()),
        "detector": read_checkpoint(str(out / "finetune" / "detector")).fingerprint,
        "dataset": json.loads((out / "dataset" / "dataset.json").read_text()),
    }
