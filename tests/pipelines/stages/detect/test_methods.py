"""Other ways from scores to events: the same as of the whole at once; recordings of low rates."""

import io
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import CLASSES, RATE, detect_files, noise

from pipelines.cli.main import main
from pipelines.stages.detect.file import detect_file
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.write import write_detections
from pmam.events.change_detection import find_boxes
from pmam.events.decoding import decode
from pmam.events.median_filter import max_filter_frames
from pmam.events.overlap_add import Windows, split
from pmam.events.settings import BoxOverrides, BoxSettings
from pmam.models.detector import DetectorModel
from pmam.models.window_scores import window_scores
from shards.audio.decoding import decode as decode_audio

HOP_S = 0.04
LENGTH_S = 25.013


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    sf.write(path, noise(LENGTH_S), RATE, subtype="FLOAT")
    return path


def scores_of(detector: DetectorModel, path: Path) -> np.ndarray:
    """`(frames, classes)` of the whole, before anything is done to them."""
    samples = decode_audio(path.read_bytes(), str(path), sample_rate_hz=RATE)
    windows = Windows(frames=250, overlap=50)
    return np.concatenate(list(window_scores(detector, split([samples], windows, 640), 50, 8)))


def told(detector: DetectorModel, path: Path, settings: DetectSettings) -> list[tuple[object, ...]]:
    found = detect_file(detector, str(path), settings).events
    return [(e.onset_s, e.offset_s, e.label, e.score) for e in found]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.7])
def test_boxes_are_those_of_the_whole_file(
    detector: DetectorModel, recording: Path, threshold: float
) -> None:
    scores, boxes = scores_of(detector, recording), BoxSettings(step_s=0.4, merge_drop=0.2)
    given = BoxOverrides(step_s=0.4, merge_drop=0.2)
    settings = DetectSettings(method="boxes", boxes=given, threshold=threshold)
    expected = sorted(
        (box.first * HOP_S, min(box.end * HOP_S, LENGTH_S), label, box.confidence)
        for label, column in zip(CLASSES, find_boxes(scores, HOP_S, boxes), strict=True)
        for box in column
        if box.confidence > threshold
    )
    found = told(detector, recording, settings)
    assert [event[:3] for event in found] == [event[:3] for event in expected]
    assert [event[3] for event in found] == pytest.approx([event[3] for event in expected])
    assert len(expected) > 5
    # A box stands or falls as a whole: a higher threshold takes boxes away, and shortens none.
    assert set(told(detector, recording, settings)) <= set(
        told(detector, recording, DetectSettings(method="boxes", boxes=given, threshold=0.0))
    )


def test_the_maximum_is_that_of_the_whole_file(detector: DetectorModel, recording: Path) -> None:
    settings = DetectSettings(method="max", median_s=0.2, median_by_class_s={"car": 0.6})
    scores = max_filter_frames(scores_of(detector, recording), [5, 15, 5])
    expected = decode(scores, CLASSES, HOP_S)
    found = detect_file(detector, str(recording), settings).events
    assert [e.label for e in found] == [e.label for e in expected]
    for event, whole in zip(found, expected, strict=True):
        assert event.onset_s == pytest.approx(whole.onset_s)
        assert event.offset_s == pytest.approx(min(whole.offset_s, LENGTH_S))
    assert len(expected) > 5


def test_on_the_command_line(
    checkpoint: str, detector: DetectorModel, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--method", "boxes", "--boxes.step-s", "0.4", "--threshold", "0.3"]
    main(["detect", str(recording), "--checkpoint", checkpoint, *options])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
    settings = DetectSettings(method="boxes", boxes=BoxOverrides(step_s=0.4), threshold=0.3)
    expected = told(detector, recording, settings)
    assert expected
    assert [(float(a), float(b), c) for _, a, b, c, _ in rows] == [
        (pytest.approx(a, abs=1e-6), pytest.approx(b, abs=1e-6), c) for a, b, c, _ in expected
    ]
    with pytest.raises(SystemExit):
        main(["detect", str(recording), "--checkpoint", checkpoint, "--boxes.step-s", "0"])
    assert "boxes with step 0.0 s" in capsys.readouterr().err


def test_silence_and_short_files_hold_no_box_that_is_empty(
    detector: DetectorModel, tmp_path: Path
) -> None:
    settings = DetectSettings(method="boxes", threshold=0.0)
    for samples in (2, 700, RATE):
        path = tmp_path / f"{samples}.wav"
        sf.write(path, np.zeros(samples), RATE)
        for event in detect_file(detector, str(path), settings).events:
            assert 0 <= event.onset_s < event.offset_s <= samples / RATE


@pytest.mark.parametrize(("rate", "warnings"), [(8000, 2), (44100, 0)])
def test_recordings_of_a_low_rate_are_named(
    detector: DetectorModel,
    checkpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rate: int,
    warnings: int,
) -> None:
    """Of a pretrained encoder: it would hear a band that is not there, and say nothing of it."""
    paths = [str(tmp_path / f"{n}.wav") for n in range(3)]
    for path in paths:
        sf.write(path, noise(1, rate), rate)
    with caplog.at_level(logging.WARNING, "pmam"):
        write_detections(paths, checkpoint, DetectSettings(), out=io.StringIO())
        assert caplog.text == ""  # trained from scratch on such recordings
        monkeypatch.setattr(type(detector.backbone.encoder), "needs_weights", True)
        assert len(list(detect_files(paths, checkpoint, DetectSettings()))) == 3
    assert len(caplog.messages) == warnings
    if warnings:
        assert caplog.messages[0].startswith(f"{paths[0]}: 8000 Hz is less than the model")
        assert caplog.messages[1] == "so have 2 other files a low rate"
