"""Training as a job: a real worker group does what this process does, and kills lose nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import packing
import pytest
import tiny_models
import torch
from ray.train import WorkerGroupError

from pipelines.cli import user_error
from pipelines.finetune import FinetuneSettings, finetune
from pipelines.ledger import record_of
from pipelines.models import load_detector
from pipelines.train_job import TrainSettings
from pipelines.urls import store, write_checkpoint
from pmam.checkpoint import CheckpointError, pack_encoder
from pmam.training import OptimizerSettings, TrainingError
from shards.clip import Clip, Event

STEPS = 6
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


def settings(workers: int = 0) -> FinetuneSettings:
    training = TrainSettings(
        optimizer=OptimizerSettings(steps=STEPS, warm_up_steps=2),
        crop_s=0.6,
        batch={"strong": 2, "weak": 2, "unlabeled": 2},
        workers=workers,
        checkpoint_every=2,
    )
    return FinetuneSettings(context=tiny_models.CONTEXT, training=training)


@pytest.fixture(scope="module")
def undisturbed(prepared: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    dataset, start = prepared
    finetune(dataset, str(out), settings(), start=start)
    return out


class Killed(BaseException):
    """What stands for a kill: nothing in the pipeline catches it."""


@pytest.mark.parametrize("after", [1, 2, 5, 6])
def test_a_kill_changes_nothing(
    prepared: tuple[str, str],
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    """Killed after some steps: it goes on from its last checkpoint to the same weights."""
    from pipelines.finetune import FinetuneTask

    taken: list[int] = []
    follow = FinetuneTask.after_step

    def after_step(self: FinetuneTask, step: int) -> None:
        follow(self, step)
        taken.append(step)
        if len(taken) == after:
            raise Killed

    dataset, start = prepared
    out = str(tmp_path / "out")
    monkeypatch.setattr(FinetuneTask, "after_step", after_step)
    with pytest.raises(Killed):
        finetune(dataset, out, settings(), start=start)
    assert not (tmp_path / "out" / "stage.json").exists()
    finetune(dataset, out, settings(), start=start)
    kept = (after - 1) // 2 * 2  # a kill at step 2 comes before its checkpoint
    assert taken == [*range(after), *range(kept, STEPS)]
    assert record_of(out)["result"] == record_of(str(undisturbed))["result"]
    assert metrics(tmp_path / "out") == metrics(undisturbed)


def metrics(out: Path) -> dict[str, bytes]:
    return packing.files(out / "metrics")


def test_the_end_is_done_again_where_it_is_lost(
    prepared: tuple[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    dataset, start = prepared
    copy = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    for name in ("stage.json", "result.json", "detector.safetensors", "detector.json"):
        (copy / name).unlink()
    finetune(dataset, str(copy), settings(), start=start)
    assert record_of(str(copy))["result"] == record_of(str(undisturbed))["result"]


def test_a_damaged_checkpoint_is_no_start(
    prepared: tuple[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    dataset, start = prepared
    copy = Path(shutil.copytree(undisturbed, tmp_path / "copy"))
    (copy / "stage.json").unlink()
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
    assert user_error(WorkerGroupError("failed", {0: KeyError("a bug")})) is None


def test_a_start_that_is_no_checkpoint(prepared: tuple[str, str], tmp_path: Path) -> None:
    dataset, _ = prepared
    write_checkpoint(store(str(tmp_path)), "encoder", pack_encoder(tiny_models.backbone().encoder))
    (tmp_path / "encoder.json").write_text("{}")
    with pytest.raises(CheckpointError, match="not a checkpoint description"):
        finetune(dataset, str(tmp_path / "o"), settings(), start=str(tmp_path / "encoder"))
