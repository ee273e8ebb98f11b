"""A small training from the beginning, for tests of what goes on around it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import packing
import tiny_models

from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.stages.finetune import finetune
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.settings import TrainSettings
from pmam.models.checkpoint import pack_encoder
from pmam.training.settings import GroupRates, OptimizerSettings
from shards.clip import Clip, Event

# The model has no PaSST.
RATES = GroupRates(passt_lr=1e-4, cnn_lr=1e-3, decoder_lr=1e-3, head_lr=1e-2)


def trained(folder: Path, steps: int = 4, **training: Any) -> Path:
    """A detector of eight clips; returns the folder of the stage."""
    clips = []
    for number in range(8):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.6, rate=16000)
        subset = ("strong", "validation")[number % 2]
        events = (Event(0.1, 0.3, "dog"),)
        clips.append(Clip(source_id=name, audio=name, subset=subset, events=events))
    packing.pack(folder, clips, folder / "dataset")
    encoder = pack_encoder(tiny_models.backbone().encoder)
    write_checkpoint(store(str(folder)), "encoder", encoder)
    settings = TrainSettings(
        optimizer=OptimizerSettings(steps=steps, warm_up_steps=0, flat_share=1.0, groups=RATES),
        crop_s=0.6,
        batch={"strong": 2},
        checkpoint_every=2,
    )
    tuning = FinetuneSettings(
        context=tiny_models.CONTEXT, validate_every=2, training=replace(settings, **training)
    )
    finetune(str(folder / "dataset"), str(folder / "out"), tuning, start=str(folder / "encoder"))
    return folder / "out"
