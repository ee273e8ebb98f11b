"""What fine-tuning stores of post-processing: chosen where it can be, told where it cannot."""

import logging
from dataclasses import replace
from pathlib import Path

import packing
import pytest
import tiny_models

from pipelines.inference.layers import load_detector
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.stage import record_of
from pipelines.stages.finetune import finetune
from pipelines.stages.settings import FinetuneSettings
from pipelines.training.settings import TrainSettings
from pmam.events.settings import PostprocessSettings
from pmam.models.checkpoint import pack_encoder
from pmam.settings import from_json
from pmam.training.settings import OptimizerSettings
from shards.clip import Clip, Event

GIVEN = PostprocessSettings(median_s=0.12, threshold=0.35)
SETTINGS = FinetuneSettings(
    context=tiny_models.CONTEXT,
    validate_every=0,
    postprocess=GIVEN,
    median_choices_s=(),
    training=TrainSettings(
        optimizer=OptimizerSettings(steps=2, warm_up_steps=0), crop_s=0.6, batch={"strong": 2}
    ),
)


def stored(folder: Path, other: str, settings: FinetuneSettings) -> PostprocessSettings:
    """Post-processing of a detector of eight clips, half of them of another subset."""
    clips = []
    for number in range(8):
        name = f"{number}.wav"
        packing.write_noise(folder / name, seed=number, seconds=0.6, rate=16000)
        # As long as its clip: a low enough threshold finds it.
        events = (Event(0.0, 0.6, "dog"),)
        subset = ("strong", other)[number % 2]
        clips.append(Clip(source_id=name, audio=name, subset=subset, events=events))
    packing.pack(folder, clips, folder / "dataset")
    encoder = pack_encoder(tiny_models.backbone().encoder)
    write_checkpoint(store(str(folder)), "encoder", encoder)
    out = folder / "out"
    finetune(str(folder / "dataset"), str(out), settings, start=str(folder / "encoder"))
    assert not (out / "detector.json").exists()
    found = load_detector(str(out / "detector")).postprocess
    assert from_json(PostprocessSettings, record_of(str(out))["result"]["postprocess"]) == found
    return found


def test_without_validation_clips_the_given_is_stored_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pmam"):
        assert stored(tmp_path, "test", SETTINGS) == GIVEN
    assert "the detector gets median 0.12 s, threshold 0.35" in caplog.text


def test_the_threshold_is_chosen_on_validation_clips(tmp_path: Path) -> None:
    found = stored(tmp_path, "validation", SETTINGS)
    assert found.threshold_by_class.keys() == {"dog"}
    assert found == replace(GIVEN, threshold_by_class=found.threshold_by_class)


def test_nothing_is_chosen_where_nothing_is_asked_for(tmp_path: Path) -> None:
    assert stored(tmp_path, "validation", replace(SETTINGS, choose_thresholds=False)) == GIVEN
