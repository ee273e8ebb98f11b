"""Training as a job: a real worker group does what this process does, and kills lose nothing."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import packing
import pytest
import tiny_models
import torch
from ray.train import WorkerGroupError

from pipelines.inference.layers import load_detector
from pipelines.runtime.errors import user_error
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.stage import record_of
from pipelines.stages.finetune import FinetuneTask, finetune
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.recorder import speed_of
from pipelines.training.settings import TrainSettings
from pmam.models.checkpoint import CheckpointError, pack_encoder
from pmam.training.errors import TrainingError
from pmam.training.settings import OptimizerSettings
from shards.clip import Clip, Event

STEPS = 6
NUMBERS = ("frame_ap", "psds1")
pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A dataset of twelve clips and the checkpoint of an encoder."""
    folder = tmp_path_factory.mktemp("train")
    clips = []
    for number in range(12):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.6, rate=16000)
        subset = ("strong", "weak", "unlabeled", "validation")[number % 4]
        strong = subset in ("strong", "validation")
        clips.append(
            Clip(
                source_id=name,
                audio=name,
                subset=subset,
                events=(Event(0.1, 0.3, "dog"), Event(0.2, 0.6, "cat")) if strong else None,
                weak=("dog",) if subset == "weak" else None,
            )
        )
    packing.pack(folder, clips, folder / "dataset")
    encoder = pack_encoder(tiny_models.backbone().encoder)
    write_checkpoint(store(str(folder)), "encoder", encoder)
    return str(folder / "dataset"), str(folder / "encoder")


def settings(**training: Any) -> FinetuneSettings:
    defaults = TrainSettings(
        optimizer=OptimizerSettings(steps=STEPS, warm_up_steps=2),
        crop_s=0.6,
        batch={"strong": 2, "weak": 2, "unlabeled": 2},
        checkpoint_every=2,
    )
    return FinetuneSettings(
        context=tiny_models.CONTEXT, validate_every=3, training=replace(defaults, **training)
    )


def trained(prepared: tuple[str, str], out: Path, **training: Any) -> Path:
    dataset, start = prepared
    finetune(dataset, str(out), settings(**training), start=start)
    return out


@pytest.fixture(scope="module")
def undisturbed(prepared: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(prepared, tmp_path_factory.mktemp("undisturbed") / "out")


class Killed(BaseException):
    """What stands for a kill: nothing in the pipeline catches it."""


@pytest.fixture
def killed(
    prepared: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Path, list[int]]]:
    """Trains until a kill after so many steps; returns the folder and a list that goes on."""

    def run(after: int, **training: Any) -> tuple[Path, list[int]]:
        taken: list[int] = []
        follow = FinetuneTask.after_step

        def after_step(self: FinetuneTask, step: int) -> None:
            follow(self, step)
            taken.append(step)
            if len(taken) == after:
                raise Killed

        monkeypatch.setattr(FinetuneTask, "after_step", after_step)
        with pytest.raises(Killed):
            trained(prepared, tmp_path / "out", **training)
        assert not (tmp_path / "out" / "stage.json").exists()
        return tmp_path / "out", taken

    return run


@pytest.mark.parametrize("after", [1, 2, 5, 6])
def test_a_kill_changes_nothing(
    prepared: tuple[str, str], undisturbed: Path, killed: Callable[..., Any], after: int
) -> None:
    """Killed after some steps: it goes on from its last checkpoint to the same weights."""
    out, taken = killed(after)
    trained(prepared, out)
    kept = (after - 1) // 2 * 2  # a kill at step 2 comes before its checkpoint
    assert taken == [*range(after), *range(kept, STEPS)]
    assert record_of(str(out))["result"] == record_of(str(undisturbed))["result"]
    assert metrics(out) == metrics(undisturbed)


def test_a_kill_changes_nothing_of_a_batch_in_parts_and_half_precision(
    prepared: tuple[str, str], tmp_path: Path, killed: Callable[..., Any]
) -> None:
    other = {"accumulate": 3, "precision": "bfloat16"}
    whole = trained(prepared, tmp_path / "whole", **other)
    out, taken = killed(5, **other)
    trained(prepared, out, **other)
    assert taken[5:] == [4, 5]
    assert record_of(str(out))["result"] == record_of(str(whole))["result"]
    assert metrics(out) == metrics(whole)


def test_a_killed_training_goes_on_in_other_parts(
    prepared: tuple[str, str], killed: Callable[..., Any]
) -> None:
    """What says how a step is computed is not what a training is: on another machine it goes on."""
    out, taken = killed(3)
    trained(prepared, out, accumulate=2, checkpoint_every=3)
    assert taken[3:] == [2, 3, 4, 5]


def test_tensorboard_shows_each_step_once(
    prepared: tuple[str, str], undisturbed: Path, killed: Callable[..., Any]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out, _ = killed(4)  # after step 3 was validated, and before it was kept
    trained(prepared, out)
    shown = EventAccumulator(str(out / "tensorboard")).Reload()
    for name in ("validation/teacher_psds1", "validation/student_frame_ap"):
        values = {event.step: event.value for event in shown.Scalars(name)}
        assert len(shown.Scalars(name)) == 2
        assert values == pytest.approx({row["step"]: row[name] for row in logged(undisturbed)})
    assert {event.step for event in shown.Scalars("speed/clips_per_s")} == {2, 4, 6}


def test_what_is_logged(undisturbed: Path) -> None:
    rows = logged(undisturbed)
    assert [row["step"] for row in rows] == [3, 6]
    quality = {name.removeprefix("validation/"): value for name, value in rows[-1].items()}
    quality.pop("step")
    assert quality == record_of(str(undisturbed))["result"]["validation"]
    assert set(quality) == {f"{m}_{n}" for m in ("student", "teacher") for n in NUMBERS}


def test_speed_in_words(killed: Callable[..., Any]) -> None:
    out, _ = killed(4)
    speeds = [json.loads(path.read_text()) for path in sorted(out.glob("speed/*"))]
    assert [row["step"] for row in speeds] == [2]
    assert all(row["clips_per_s"] > 0 and 0 <= row["waiting_share"] <= 1 for row in speeds)
    assert re.fullmatch(
        r"[\d.]+ clips/s, \d+ % of the time waiting for clips", speed_of(store(str(out)))
    )


def test_a_finished_training_keeps_nothing_to_go_on_by(undisturbed: Path) -> None:
    names = {path.name for path in undisturbed.iterdir()}
    assert "detector.safetensors" in names
    assert not names & {"state", "speed"}


def test_validation_does_not_disturb_the_training(
    prepared: tuple[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    dataset, start = prepared
    finetune(dataset, str(tmp_path), replace(settings(), validate_every=0), start=start)
    assert logged(tmp_path) == []
    assert record_of(str(tmp_path))["result"] == record_of(str(undisturbed))["result"]


def logged(out: Path) -> list[dict[str, Any]]:
    files = sorted(out.glob("metrics/*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def metrics(out: Path) -> dict[str, bytes]:
    return packing.files(out / "metrics")


def test_the_end_is_done_again_where_it_is_lost(
    prepared: tuple[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    dataset, start = prepared
    copy = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    for name in ("stage.json", "result.json", "detector.safetensors"):
        (copy / name).unlink()
    finetune(dataset, str(copy), settings(), start=start)
    assert record_of(str(copy))["result"] == record_of(str(undisturbed))["result"]


def test_a_damaged_checkpoint_is_no_start(
    prepared: tuple[str, str], killed: Callable[..., Any]
) -> None:
    dataset, start = prepared
    copy, _ = killed(4)
    (state,) = copy.glob("state/*.safetensors")
    data = bytearray(state.read_bytes())
    data[-3] ^= 1
    state.write_bytes(bytes(data))
    with pytest.raises(ValueError, match=r"does not match its sha256; run .* --fresh"):
        finetune(dataset, str(copy), settings(), start=start)


def test_a_worker_group_trains_the_same_model(
    prepared: tuple[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    dataset, start = prepared
    out = tmp_path / "group"
    finetune(dataset, str(out), settings(workers=1), start=start)
    # Not the weights one by one: the keys' biases have no effect, so that their gradients are
    # rounding alone, which AdamW takes for large and which differs with the number of threads.
    expected = load_detector(str(undisturbed / "detector"))
    found = load_detector(str(out / "detector"))
    noise = 0.1 * torch.randn(3, 16000, generator=torch.Generator().manual_seed(0))
    inputs = expected.backbone.encoder.inputs(noise)
    with torch.inference_mode():
        apart = (found(inputs).frames - expected(inputs).frames).abs().max()
    assert float(apart) <= 1e-5
    assert metrics(out).keys() == metrics(undisturbed).keys()


def test_what_a_task_refuses_shows_before_workers_start(
    prepared: tuple[str, str], tmp_path: Path
) -> None:
    dataset, start = prepared
    chosen = settings(workers=1)
    chosen = replace(chosen, training=replace(chosen.training, batch={"unlabeled": 2}))
    with pytest.raises(ValueError, match="no label on any clip of unlabeled"):
        finetune(dataset, str(tmp_path / "out"), chosen, start=start)


def test_the_error_of_a_worker_is_found_in_that_of_its_group() -> None:
    cause = TrainingError("step 3: loss nan")
    group = WorkerGroupError("1 of 2 workers failed", {1: cause})
    assert user_error(group) is cause
    full = MemoryError("Unable to allocate 9 TiB")
    assert user_error(WorkerGroupError("failed", {0: full})) is full
    assert user_error(WorkerGroupError("failed", {0: KeyError("a bug")})) is None


def test_a_start_that_is_no_checkpoint(prepared: tuple[str, str], tmp_path: Path) -> None:
    dataset, _ = prepared
    checkpoint = pack_encoder(tiny_models.backbone().encoder)
    (tmp_path / "encoder.safetensors").write_bytes(
        checkpoint.tensors
    )  # as older ones, in two files
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a checkpoint description"):
        finetune(dataset, str(tmp_path / "o"), settings(), start=str(tmp_path / "encoder"))
