"""What a run does in the cases that the presets leave out."""

import contextlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from bad_input_cases import write_source
from tiny_run import tiny_settings, write_config

from pipelines import run as run_module
from pipelines.cli.main import main
from pipelines.presets.settings import RunSettings
from pipelines.stages.finetune import labels_alone
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.settings import TrainSettings
from pmam.objectives.settings import FinetuneLossSettings


def test_labels_alone_differ_in_unlabelled_clips_and_the_teacher_only() -> None:
    training = TrainSettings(batch={"strong": 3, "weak": 2, "unlabeled": 7}, seed=4)
    full = FinetuneSettings(training=training, ema_limit=0.9)
    alone = labels_alone(full)
    assert alone.training.batch == {"strong": 3, "weak": 2}
    assert alone.losses.consistency_weight == 0.0
    restored = replace(
        alone,
        losses=replace(alone.losses, consistency_weight=full.losses.consistency_weight),
        training=replace(alone.training, batch=training.batch),
    )
    assert restored == full


class Stages:
    """Stands for all stages of a run; keeps what each was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, dict[str, Any]] = {}
        for name in ("embed", "fit", "label", "pretrain", "finetune", "score", "evaluate"):
            monkeypatch.setattr(run_module, name, self.stage)
        monkeypatch.setattr(run_module, "lazy_session", lambda address: contextlib.nullcontext())
        monkeypatch.setattr(run_module, "packed", lambda settings, folder: self.stage(name="pack"))
        monkeypatch.setattr(run_module, "open_dataset", lambda url: MagicMock())
        monkeypatch.setattr(run_module, "check_classes", lambda settings, classes: None)
        monkeypatch.setattr(run_module, "has_truth", lambda dataset, settings: False)

    def stage(self, *arguments: Any, name: str, **named: Any) -> str:
        self.calls[name] = named
        return f"/{name}"


@pytest.mark.parametrize(
    ("later_start", "second"),
    [("continue", "/pretrain-1/pretrained"), ("anew", "/embed-1/encoder")],
)
def test_what_a_later_iteration_starts_from(
    later_start: Any, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = Stages(monkeypatch)
    run_module.run(RunSettings(iterations=2, later_start=later_start), "/out")
    calls = stages.calls
    assert calls["pretrain-1"]["start"] == "/embed-1/encoder"
    assert calls["pretrain-2"]["start"] == second
    assert calls["embed-2"]["model"] == "/pretrain-1/pretrained"
    assert calls["label-2"]["checkpoint"] == "/pretrain-1/pretrained"
    assert calls["finetune"]["start"] == "/pretrain-2/pretrained"
    assert calls["finetune-supervised"]["start"] == "/embed-1/encoder"


def test_fine_tuning_in_two_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages(monkeypatch)
    first = FinetuneSettings(losses=FinetuneLossSettings(trained="heads"))
    run_module.run(RunSettings(iterations=1, finetune_first=first), "/out")
    calls = stages.calls
    assert calls["finetune-first"]["start"] == "/pretrain-1/pretrained"
    assert calls["finetune"]["start"] == "/finetune-first/detector"
    assert calls["finetune-first-supervised"]["start"] == "/embed-1/encoder"
    assert calls["finetune-supervised"]["start"] == "/finetune-first-supervised/detector"


def test_the_first_iteration_may_start_from_given_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = Stages(monkeypatch)
    given = {"dataset": "/theirs", "prototypes": "/means", "posteriors": "/labels"}
    run_module.run(RunSettings(iterations=2, baseline=False, **given), "/out")
    calls = stages.calls
    assert calls.keys() >= {"fit-2", "label-2", "pretrain-1", "pretrain-2"}
    assert not calls.keys() & {"pack", "fit-1", "label-1"}
    assert calls["pretrain-1"]["prototypes"] == "/means"
    assert calls["pretrain-1"]["posteriors"] == "/labels"
    assert calls["fit-2"]["before"] == "/labels"
    assert calls["pretrain-2"]["posteriors"] == "/label-2"


@pytest.mark.usefixtures("ray_session")
def test_without_test_clips_a_run_ends_with_the_detector(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    tiny = tiny_settings(steps=2)
    training = replace(tiny.finetune.training, crop_s=0.5, batch={"strong": 1, "weak": 2})
    settings = replace(
        tiny,
        data=str(write_source(tmp_path / "source")),
        soundscapes=None,
        iterations=0,
        finetune=replace(tiny.finetune, training=training),
    )
    config, out = write_config(tmp_path / "run.json", settings), tmp_path / "out"
    with caplog.at_level(logging.WARNING, "pmam"):
        main(["run", "--config", str(config), "--out", str(out)])
    assert "no strongly labelled clips in subset 'test': nothing to evaluate on" in caplog.text
    assert f"{out}/finetune/detector.safetensors" in capsys.readouterr().out.replace("\n", "")
    assert not (out / "score").exists()


def tones(folder: Path, classes: dict[str, int]) -> None:
    import numpy as np
    import soundfile as sf

    for label, frequency_hz in classes.items():
        (folder / label).mkdir(parents=True)
        for take in range(3):
            time_s = np.arange(8000) / 16000
            tone = 0.3 * np.sin(2 * np.pi * (frequency_hz + take) * time_s)
            sf.write(folder / label / f"{label}{take}.wav", tone, 16000)


@pytest.mark.usefixtures("ray_session")
def test_soundscapes_as_shards_are_those_as_files(tmp_path: Path) -> None:
    tones(tmp_path / "events", {"high": 2000, "low": 300})
    tones(tmp_path / "rooms", {"hum": 60})
    common = ["--background", str(tmp_path / "rooms")]
    for subset, count in {"strong": 3, "weak": 0, "unlabeled": 0, "validation": 0}.items():
        common += [f"--counts.{subset}", str(count)]
    common += ["--counts.test", "2", "--scene.duration-s", "1.0", "--scene.event-max-s", "0.5"]
    common += ["--scene.texture-min-s", "0.3"]
    common += ["--scene.sample-rate-hz", "16000", "--clips-per-part", "2"]
    main(["soundscapes", str(tmp_path / "events"), str(tmp_path / "files"), *common])
    main(["soundscapes", str(tmp_path / "events"), str(tmp_path / "packed"), *common, "--shards"])
    main(["verify", str(tmp_path / "packed")])
    from pipelines.runtime.files.urls import open_dataset

    packed = open_dataset(str(tmp_path / "packed"))
    assert packed.manifest.totals.subsets == {"strong": 3, "test": 2}
    assert len(packed.manifest.shards) == 3
    assert packed.manifest.classes == ("high", "low")
    for row in packed.rows:
        assert packed.read(row) == (tmp_path / "files" / f"{row.source_id}.flac").read_bytes()
        assert row.events is not None
