"""Two workers train what one process trains: pretraining and fine-tuning, by gloo."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import packing
import pytest
import torch

from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.stages.embed import embed
from pipelines.stages.finetune import FinetuneTask, finetune
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit
from pipelines.stages.label import label
from pipelines.stages.pretrain import pretrain
from pipelines.stages.settings import (
    EmbedSettings,
    FinetuneSettings,
    LabelSettings,
    PretrainSettings,
)
from pipelines.training.settings import TrainSettings
from pmam.clustering.pca import moments
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import pack_encoder
from pmam.models.settings import ContextSettings
from pmam.objectives.settings import MaskSettings, PretextSettings
from pmam.training.settings import OptimizerSettings
from shards.clip import Clip, Event

# Nothing that workers draw or count for themselves: no dropout, every frame masked by the token,
# and a frozen encoder, whose batch statistics stay as they are.
CONTEXT = ContextSettings(width=16, layers=1, heads=2, hidden=16, dropout=0.0)
PRETEXT = PretextSettings(mask=MaskSettings(rate=1.0, token_share=1.0, random_share=0.0))
TRAINING = TrainSettings(
    optimizer=OptimizerSettings(steps=20, warm_up_steps=5, body_lr=1e-3, head_lr=1e-3),
    crop_s=0.8,
    batch={"strong": 2, "weak": 2, "unlabeled": 2},
    checkpoint_every=10,
)


def write_dataset(folder: Path) -> str:
    clips = []
    for number in range(12):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.8, rate=16000)
        subset = ("strong", "weak", "unlabeled")[number % 3]
        events = (Event(0.1, 0.3 + 0.04 * number, "dog"), Event(0.2, 0.6, "cat"))
        clips.append(
            Clip(
                source_id=name,
                audio=name,
                subset=subset,
                events=events if subset == "strong" else None,
                weak=("dog",) if subset == "weak" else None,
            )
        )
    packing.pack(folder, clips, folder / "dataset")
    return str(folder / "dataset")


def write_encoder(folder: Path) -> str:
    """A frozen network with random weights."""
    torch.manual_seed(0)
    encoder = build_encoder(EncoderSettings(name="mn04")).eval()
    noise = 0.1 * torch.randn(1, 3 * encoder.sample_rate_hz)
    with torch.inference_mode():
        raw = encoder.raw(noise)[0].clone()
    encoder.calibration.fit(moments(lambda: iter([raw])))
    write_checkpoint(store(str(folder)), "encoder", pack_encoder(encoder))
    return str(folder / "encoder")


def losses(out: Path) -> list[float]:
    files = sorted((out / "metrics").glob("*.jsonl"))
    return [json.loads(line)["loss"] for file in files for line in file.read_text().splitlines()]


def tuned(dataset: str, start: str, out: Path, **training: Any) -> list[float]:
    settings = FinetuneSettings(context=CONTEXT, training=replace(TRAINING, **training))
    finetune(dataset, str(out), settings, start=start)
    return losses(out)


class Killed(BaseException):
    """What stands for a kill: nothing in the pipeline catches it."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("ray_session")
def test_two_workers_have_the_losses_of_one_process(tmp_path: Path) -> None:
    dataset, start = write_dataset(tmp_path), write_encoder(tmp_path)
    embedded = embed(dataset, str(tmp_path / "embed"), EmbedSettings(), model=start)
    prototypes = fit(dataset, embedded, str(tmp_path / "fit"), FitSettings(k=3, pca=4))
    posteriors = label(
        dataset, str(tmp_path / "label"), LabelSettings(), checkpoint=start, prototypes=prototypes
    )
    found = {}
    for workers in (0, 2):
        training = replace(TRAINING, workers=workers, accumulate=workers + 1)
        model = tmp_path / f"pretrain-{workers}"
        pretrain(
            dataset,
            str(model),
            PretrainSettings(context=CONTEXT, pretext=PRETEXT, training=training),
            posteriors=posteriors,
            prototypes=prototypes,
            start=start,
        )
        found[workers] = losses(model)
    assert len(found[0]) == 2
    assert found[2] == pytest.approx(found[0], abs=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("ray_session")
def test_a_killed_training_goes_on_with_more_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset, start = write_dataset(tmp_path), write_encoder(tmp_path)
    undisturbed = tuned(dataset, start, tmp_path / "undisturbed")
    assert len(undisturbed) == 2

    def killed(self: FinetuneTask, step: int) -> None:
        follow(self, step)
        if step == 12:
            raise Killed

    follow = FinetuneTask.after_step
    monkeypatch.setattr(FinetuneTask, "after_step", killed)
    with pytest.raises(Killed):
        tuned(dataset, start, tmp_path / "out")
    monkeypatch.undo()
    assert losses(tmp_path / "out") == undisturbed[:1]
    continued = tuned(dataset, start, tmp_path / "out", workers=2)
    assert continued == pytest.approx(undisturbed, abs=1e-4)
