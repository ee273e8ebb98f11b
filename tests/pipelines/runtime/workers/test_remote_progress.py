"""What a worker group says, and how far it is, reaches the driver; learning rates and speed."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_cases import trained

from pipelines.runtime.files.urls import store
from pipelines.runtime.workers import remote_progress
from pipelines.runtime.workers.remote_progress import PROGRESS, Messages, Reported, held, watching
from pipelines.stages.finetune import FinetuneTask
from pipelines.training.recorder import Recorder
from pmam.training.settings import OptimizerSettings
from pmam.training.trainer import Trainer
from shards.io.store import Store

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
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_progress, "EVERY_S", 0.01)
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
    kept = 0
    with caplog.at_level(logging.INFO, "pmam"), watching(folder, lambda: kept):
        kept = 10
        wait_for(lambda: bool(caplog.records))
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [
        (logging.INFO, "step 2"),
        (logging.WARNING, "100 % of it"),
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO, "pmam"), watching(folder, lambda: kept):
        kept = 15  # the last checkpoint, just before the workers end
    assert [record.getMessage() for record in caplog.records] == ["later"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "pmam"), watching(folder, lambda: kept):
        kept = 20  # goes on from the checkpoint of which all was told
    assert not caplog.records


def test_progress_is_told_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a worker and its driver do it, through a file; a store that fails now and then is fine."""
    monkeypatch.setattr(remote_progress, "EVERY_S", 0.01)
    shown: list[tuple[object, ...]] = []

    @contextmanager
    def bar(title: str, total: int, done: int) -> Iterator[Any]:
        shown.append((title, total, done))
        yield lambda more, note: shown.append((more, note)) if note else None

    monkeypatch.setattr(remote_progress, "bar", bar)
    folder, calls = Store.local(tmp_path), 0
    write = folder.write

    def unreliable(name: str, data: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise OSError("no answer")
        write(name, data)

    monkeypatch.setattr(folder, "write", unreliable)
    with watching(Store.local(tmp_path)):
        for title in ("k-means", "EM"):
            with Reported(folder)(title, 9, 2) as advance:
                wait_for(lambda title=title: (title, 9, 2) in shown)
                advance(3, "log-likelihood -1.5")
                wait_for(lambda: shown[-1] == (3, "log-likelihood -1.5"))
                assert json.loads(folder.read(PROGRESS))["done"] == 5
    assert [entry[0] for entry in shown if entry[1] == 9] == ["k-means", "EM"]
    assert folder.size(PROGRESS) is None


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
