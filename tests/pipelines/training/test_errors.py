"""Trainings that cannot go on: one line, the last checkpoint stays, nothing is tried in vain."""

import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import packing
import pytest
import tiny_models
from ray.exceptions import RayActorError
from ray.train import WorkerGroupError

from pipelines.runtime.errors import PipelineError, user_error
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.workers.worker_group import restarted
from pipelines.stages.finetune import FinetuneTask, finetune
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.settings import TrainSettings
from pmam.models.checkpoint import pack_encoder
from pmam.objectives.mean_teacher import MeanTeacherBatch
from pmam.training.errors import TrainingError
from pmam.training.settings import OptimizerSettings
from shards.clip import Clip
from shards.errors import StoreError

# After one step the weights are so large that activations overflow.
DIVERGING = OptimizerSettings(steps=8, warm_up_steps=0, body_lr=1e30, head_lr=1e30)
SETTINGS = FinetuneSettings(
    context=tiny_models.CONTEXT,
    training=TrainSettings(
        optimizer=DIVERGING, crop_s=0.6, batch={"weak": 2, "unlabeled": 2}, checkpoint_every=1
    ),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> tuple[str, str]:
    """A dataset of eight clips and the checkpoint of an encoder."""
    folder = tmp_path_factory.mktemp("errors")
    clips = []
    for number in range(8):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.6, rate=16000)
        subset = ("weak", "unlabeled")[number % 2]
        weak = ("dog",) if subset == "weak" else None
        clips.append(Clip(source_id=name, audio=name, subset=subset, weak=weak))
    packing.pack(folder, clips, folder / "dataset")
    encoder = pack_encoder(tiny_models.backbone().encoder)
    write_checkpoint(store(str(folder)), "encoder", encoder)
    return str(folder / "dataset"), str(folder / "encoder")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_loss_that_is_no_number(
    prepared: tuple[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    dataset, start = prepared
    out = tmp_path / "out"
    settings = replace(SETTINGS, training=replace(SETTINGS.training, workers=workers))
    with caplog.at_level(logging.WARNING, "pmam"), pytest.raises(TrainingError) as failed:
        finetune(dataset, str(out), settings, start=start)
    message = str(failed.value)
    assert "\n" not in message
    latest = json.loads((out / "state" / "latest.json").read_text())
    step = latest["step"]
    assert 1 <= step < 8
    assert message.startswith(f"step {step}: loss ")
    assert "nan" in message
    task = FinetuneTask(dataset, start, None, settings)
    keys = [row.key for row in task.clips.everything.rows(step)]
    assert len(keys) == 4
    assert message.endswith(f"those of the batch: {', '.join(keys)}")
    assert (out / latest["name"]).is_file()
    assert not (out / "stage.json").exists()
    assert "started again" not in caplog.text


def test_of_a_batch_in_parts_the_clips_of_the_bad_part_are_named(
    prepared: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, start = prepared
    whole = FinetuneTask.prepare

    def broken(self: FinetuneTask, batch: Any, step: int, generator: Any) -> MeanTeacherBatch:
        taught = whole(self, batch, step, generator)
        if step == 2:
            taught.batch.inputs[1] = math.nan  # the second clip, and so of the second part
        return taught

    monkeypatch.setattr(FinetuneTask, "prepare", broken)
    training = replace(SETTINGS.training, optimizer=OptimizerSettings(steps=4), accumulate=2)
    settings = replace(SETTINGS, training=training)
    with pytest.raises(TrainingError, match="step 2: loss nan") as failed:
        finetune(dataset, str(tmp_path / "out"), settings, start=start)
    task = FinetuneTask(dataset, start, None, settings)
    keys = [row.key for row in task.clips.everything.rows(2)]
    assert str(failed.value).endswith(f"those of the batch: {keys[1]}, {keys[3]}")


class Fit:
    """Fails as often as asked, as a worker group does."""

    def __init__(self, failure: Exception, times: int) -> None:
        self.failure, self.times, self.calls = failure, times, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self.times:
            raise WorkerGroupError("1 of 2 workers failed", {1: self.failure})


@pytest.mark.parametrize("make", [TrainingError, PipelineError, StoreError])
def test_what_a_worker_refuses_is_not_tried_again(make: Callable[[str], Exception]) -> None:
    cause = make("a reason")
    fit = Fit(cause, times=9)
    with pytest.raises(type(cause), match="a reason"):
        restarted(fit)
    assert fit.calls == 1


def test_workers_that_died_are_started_again(caplog: pytest.LogCaptureFixture) -> None:
    fit = Fit(RayActorError(), times=2)
    restarted(fit)
    assert fit.calls == 3


@pytest.mark.parametrize(
    "failure",
    [
        RayActorError(),
        MemoryError("Unable to allocate 9 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_workers_that_die_again_and_again(failure: Exception) -> None:
    """In one line, that tells what is kept; memory is what they lack most often."""
    fit = Fit(failure, times=9)
    with pytest.raises(OSError, match="workers died 3 times, the last of worker 1: ") as died:
        restarted(fit)
    assert fit.calls == 3
    message = str(user_error(died.value))
    assert "\n" not in message
    assert str(failure).splitlines()[0] in message
    assert "the same command goes on from it; where memory ran out" in message


def test_what_is_no_death_keeps_its_traceback() -> None:
    with pytest.raises(WorkerGroupError) as failed:
        restarted(Fit(KeyError("a bug"), times=9))
    assert user_error(failed.value) is None
