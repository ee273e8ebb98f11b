"""Arrays by `pmam.Detector`, files by `detect_file`: the same events."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import noise

from pipelines import detect_file
from pmam.models.detector import DetectorModel
from pmam.models.facade import Detector


@pytest.mark.parametrize("rate", [16000, 44100, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_arrays_and_files_have_the_same_events(
    detector: DetectorModel, tmp_path: Path, rate: int, channels: int
) -> None:
    wave = np.stack([noise(25.3, rate, seed) for seed in range(channels)], axis=1)
    path = tmp_path / "a.wav"
    sf.write(path, wave, rate, subtype="FLOAT")
    facade = Detector(detector)
    samples, read_rate = sf.read(path, dtype="float32")
    found = facade.events(samples, read_rate)
    of_file = detect_file(facade, str(path)).events
    assert [event[:3] for event in found] == [(e.onset_s, e.offset_s, e.label) for e in of_file]
    assert [event.score for event in found] == pytest.approx([e.score for e in of_file], abs=1e-6)
    assert of_file == detect_file(detector, str(path)).events
    assert len(found) > 5
