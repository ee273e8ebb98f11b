"""What the demo shows at its end: events of a test clip, those that are in it and those found."""

import re
from pathlib import Path

import packing
import pytest

from pipelines.cli.demo import show_events
from pipelines.presets import PRESETS
from pipelines.runtime.files.urls import store, write_checkpoint
from pmam.models.checkpoint import pack_detector
from pmam.models.detector import DetectorModel
from shards.clip import Clip, Event

EVENTS = {
    "train": ("strong", (Event(0.0, 0.2, "dog"), Event(0.1, 0.3, "dog"), Event(0.3, 0.5, "dog"))),
    "few": ("test", (Event(0.2, 0.4, "cat"),)),
    "many": ("test", (Event(0.12, 0.5, "dog"), Event(0.6, 0.95, "cat"))),
}


def test_true_and_found_events_stand_side_by_side(
    tmp_path: Path, detector: DetectorModel, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = []
    for number, (name, (subset, events)) in enumerate(EVENTS.items()):
        file = f"{name}.wav"
        packing.write_noise(tmp_path / "source" / file, seed=number, seconds=1.0, rate=16000)
        clips.append(Clip(source_id=name, audio=file, subset=subset, events=events))
    packing.pack(tmp_path / "source", clips, tmp_path / "dataset")
    write_checkpoint(store(str(tmp_path / "finetune")), "detector", pack_detector(detector))
    show_events(str(tmp_path))
    printed = capsys.readouterr().out
    assert "events in many, a test clip" in printed, "the one with most events, of those unheard"
    rows = re.findall(r"│ (\w+) +│ +(true|found) +│ +([\d.]+) │ +([\d.]+) │ +([\d.]*) *│", printed)
    true = [row for row in rows if row[1] == "true"]
    assert true == [("cat", "true", "0.60", "0.95", ""), ("dog", "true", "0.12", "0.50", "")]
    found = [row for row in rows if row[1] == "found"]
    assert found, "random weights of this detector are above their threshold about half the time"
    assert all(0 <= float(a) < float(b) <= 1.0 and 0 < float(s) <= 1 for *_, a, b, s in found)


def test_it_compares_nothing_and_runs_on_your_own_data_do() -> None:
    compared = {name: make().baseline for name, make in PRESETS.items()}
    assert not compared["demo"]
    assert compared["own_data"] and compared["esc10"] and compared["small"]
