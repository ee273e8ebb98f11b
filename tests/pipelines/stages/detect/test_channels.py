"""Each channel of a recording by itself: the events of files that hold one channel each."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import RATE, noise

from pipelines.inference.annotation_files import FormatError
from pipelines.stages.detect.counts import Counts
from pipelines.stages.detect.file import detect_file
from pipelines.stages.detect.results import FileEvents
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.write import write_detections
from pmam.models.detector import DetectorModel

EACH = DetectSettings(channel="each", threshold=0.5)
MEAN = DetectSettings(threshold=0.5)
SECONDS = 12.3


def write_channels(folder: Path, count: int) -> tuple[Path, list[Path]]:
    """A recording of so many channels, and a file for each of them."""
    channels = [noise(SECONDS, seed=seed) for seed in range(count)]
    whole = folder / "all.wav"
    sf.write(whole, np.stack(channels, axis=1), RATE, subtype="FLOAT")
    single = [folder / f"one{n}.wav" for n in range(count)]
    for path, samples in zip(single, channels, strict=True):
        sf.write(path, samples, RATE, subtype="FLOAT")
    return whole, single


@pytest.mark.parametrize("count", [1, 2, 3])
def test_events_of_each_are_those_of_files_with_one(
    detector: DetectorModel, tmp_path: Path, count: int
) -> None:
    whole, single = write_channels(tmp_path, count)
    percents: list[int] = []
    found = detect_file(detector, str(whole), EACH, percents.append)
    assert found.channels == count
    assert sum(percents) == pytest.approx(100, abs=1)
    assert FileEvents.from_json(json.loads(json.dumps(found.to_json()))) == found
    for number, path in enumerate(single, start=1):
        expected = detect_file(detector, str(path), MEAN).events
        assert expected
        of_channel = [event for event in found.events if event.channel == number]
        assert [(e.onset_s, e.offset_s, e.label, e.score) for e in of_channel] == [
            (e.onset_s, e.offset_s, e.label, e.score) for e in expected
        ]
    assert found.events == tuple(
        sorted(found.events, key=lambda e: (e.onset_s, e.offset_s, e.label, e.channel or 0))
    )


def test_files_name_the_channel_and_what_cannot_hold_it_is_told(
    checkpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, _ = write_channels(tmp_path, 2)
    out, counts = tmp_path / "out", tmp_path / "counts.csv"
    with caplog.at_level(logging.WARNING, "pmam"):
        write_detections(
            [str(whole)],
            checkpoint,
            EACH,
            formats=("tsv", "audacity"),
            output_dir=str(out),
            counts=str(counts),
        )
    header, *rows = [line.split("\t") for line in (out / "all.wav.tsv").read_text().splitlines()]
    assert {row[header.index("channel")] for row in rows} == {"1", "2"}
    assert "Audacity" in caplog.text and "cannot hold channels" in caplog.text
    hours = {line.split(",")[2] for line in counts.read_text().splitlines()[1:]}
    assert hours == {f"{2 * SECONDS / 3600:.6f}"}
    with pytest.raises(FormatError, match="--scores keeps those of one channel"):
        write_detections(
            [str(whole)], checkpoint, EACH, output_dir=str(tmp_path / "new"), scores="npz"
        )


def test_journals_of_before_have_events_without_channels() -> None:
    told = {"file": "a.wav", "events": [[0.0, 1.0, "dog", 0.5]], "duration_s": 2.0}
    (event,) = FileEvents.from_json(told).events
    assert (event.score, event.channel) == (0.5, None)
    total = Counts(("dog",))
    total.add(FileEvents.from_json(told))
    assert total.seconds == 2.0
