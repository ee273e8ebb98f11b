"""Recordings of a lower rate than a pretrained encoder has learnt from: refused, or told."""

import logging
from pathlib import Path

import packing
import pytest

from pipelines.inference.calibrate import check_rates
from pipelines.inference.sample_rate_check import low_rates, noting_once, warn_of_low_rates
from pipelines.runtime.files.urls import open_dataset
from pipelines.training.examples import TrainingClips
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from shards.clip import Clip
from shards.dataset import Dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Four clips, two of 16 kHz."""
    clips = []
    for number, rate in enumerate((44100, 16000, 32000, 16000)):
        name = f"{number}.wav"
        packing.write_noise(tmp_path / name, seed=number, seconds=0.5, rate=rate)
        clips.append(Clip(source_id=name, audio=name, subset="unlabeled"))
    packing.pack(tmp_path, clips, tmp_path / "dataset")
    return open_dataset(str(tmp_path / "dataset"))


def test_a_pretrained_encoder_is_not_calibrated_on_them(dataset: Dataset) -> None:
    rows = sorted(dataset.rows, key=lambda row: row.source_id)
    encoder = build_encoder(EncoderSettings(name="mn04"))
    with pytest.raises(
        ValueError, match=r"2 of 4 clips have a low rate, such as 1\.wav with 16000 Hz.*32000 Hz"
    ):
        check_rates("here", rows, encoder)
    check_rates("here", [rows[0], rows[2]], encoder)
    # Trained from scratch, it learns from what there is.
    assert low_rates(rows, build_encoder(EncoderSettings(name="cnn"))) == []


def test_training_and_scoring_with_a_model_from_elsewhere_tell(
    dataset: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = build_encoder(EncoderSettings(name="mn04"))
    with caplog.at_level(logging.WARNING, "pmam"):
        TrainingClips(
            dataset,
            encoder,
            batch={"unlabeled": 2},
            crop_s=0.5,
            seed=0,
            stored_inputs=None,
        )
        (line,) = caplog.messages
        assert line.startswith("2 of 4 clips, such as ")
        assert "16000 Hz is less than the model has learnt from" in line
        caplog.clear()
        rates_hz = [row.sample_rate_hz for row in dataset.rows]
        high = [rate for rate in rates_hz if rate >= encoder.sample_rate_hz]
        warn_of_low_rates(high, encoder, lambda place: "never asked")
        assert caplog.messages == []


def test_a_run_tells_each_rate_once(caplog: pytest.LogCaptureFixture) -> None:
    encoder = build_encoder(EncoderSettings(name="mn04"))

    def tell(*rates_hz: int) -> None:
        warn_of_low_rates(rates_hz, encoder, lambda place: f"clip {place}")

    with caplog.at_level(logging.WARNING, "pmam"), noting_once():
        for _stage in ("embed", "label", "pretrain"):
            tell(44100, 16000)
        assert [line.partition(":")[0] for line in caplog.messages] == [
            "1 of 2 clips, such as clip 1"
        ]
        tell(8000)
        assert len(caplog.messages) == 2
    with caplog.at_level(logging.WARNING, "pmam"):
        tell(44100, 16000)  # another command
        assert len(caplog.messages) == 3
