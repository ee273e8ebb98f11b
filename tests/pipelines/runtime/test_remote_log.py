"""What a worker group says of its training reaches the driver's log; learning rates and speed."""

import json
import logging
from pathlib import Path

import pytest
import torch
from torch import nn
from training_cases import trained

from pipelines.runtime.remote_log import Messages, held, tell
from pipelines.runtime.urls import store
from pipelines.stages.finetune import FinetuneTask
from pipelines.training.recorder import Recorder
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import Trainer

log = logging.getLogger("pmam")


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_what_a_training_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    workers: int,
) -> None:
    def watch(self: FinetuneTask, step: int, values: dict[str, float]) -> dict[str, float]:
        if step == 2:
            log.warning("step %d: collapsed", step)
        return {}

    monkeypatch.setattr(FinetuneTask, "watch", watch)
    with caplog.at_level(logging.INFO, "pmam"):
        out = trained(tmp_path, workers=workers)
    said = [record.getMessage() for record in caplog.records]
    for step in (2, 4):
        (line,) = [text for text in said if f"step {step} of 4: loss " in text]
        assert "lr/cnn 0.001, lr/decoder 0.001, lr/head 0.01, " in line
        assert line.endswith(" clips/s")
        assert sum(text.startswith(f"step {step}: on validation clips") for text in said) == 1
    assert said.count("passt: a learning rate, but no parameters") == 1
    if workers == 0:  # a patch does not reach other processes
        assert said.count("step 2: collapsed") == 1
    assert (out / "messages").is_dir() == (workers > 0)


def test_messages_are_told_once_and_as_grave_as_they_were(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, messages = store(str(tmp_path)), Messages()
    with held(messages):
        log.info("step %d", 2)
        log.warning("100 % of it")
        messages.write(folder, 5)
        messages.write(folder, 10)
        log.info("later")
        messages.write(folder, 15)
    log.info("not held")
    rows = (tmp_path / "messages" / "00000005.jsonl").read_text().splitlines()
    assert [json.loads(row)["text"] for row in rows] == ["step 2", "100 % of it"]
    assert not (tmp_path / "messages" / "00000010.jsonl").exists()
    caplog.clear()
    with caplog.at_level(logging.INFO, "pmam"):
        tell(folder, 0, 5)
        tell(folder, 5, 10)
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.INFO, "step 2"),
        (logging.WARNING, "100 % of it"),
    ]


def test_curves_go_to_an_object_store_too(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, ones = store(str(tmp_path / "out")), torch.ones(1, 2)
    folder.is_local = False  # which takes whole files alone, and has no folders
    for name in ("metrics", "speed", "state", "tensorboard", "messages"):
        (tmp_path / "out" / name).mkdir(parents=True)
    trainer = Trainer(nn.Linear(2, 1), OptimizerSettings(steps=40), seed=0)
    recorder = Recorder(folder, "finetune", trainer, clips=2, in_worker=True)
    with recorder:
        for _ in recorder.timed(range(20)):
            recorder.record(trainer.take_step(lambda *_: (trainer.module(ones).sum(), {})))
            if trainer.step % 10 == 0:
                recorder.checkpoint()
        shown = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
        assert [event.step for event in shown.Scalars("loss")] == [10, 20]
        assert [event.step for event in shown.Scalars("speed/clips_per_s")] == [10, 20]
