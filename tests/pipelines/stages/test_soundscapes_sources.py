"""Soundscapes of data sets in their published layouts."""

from pathlib import Path

import pytest

from pipelines.runtime.errors import PipelineError
from pipelines.stages.settings import SoundscapesSettings
from pipelines.stages.soundscapes.recordings import BACKGROUND, FOREGROUND, recordings_of


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_events_and_scenes_come_from_sources(tmp_path: Path) -> None:
    write(tmp_path / "events/train.csv", "fname,label,freesound_id\na.wav,Oboe,1\n")
    write(tmp_path / "events/audio_train/a.wav")
    scene = "tram-vienna-75-2100-a"
    head = "filename\tscene_label\tidentifier\tsource_label\n"
    write(tmp_path / "scenes/meta.csv", f"{head}audio/{scene}.wav\ttram\tvienna-75\ta\n")
    write(tmp_path / f"scenes/audio/{scene}.wav")
    settings = SoundscapesSettings(source="fsdkaggle2018", background_source="tau_urban")
    folders = {FOREGROUND: str(tmp_path / "events"), BACKGROUND: str(tmp_path / "scenes")}
    events, scenes = recordings_of(folders, settings)
    assert [(each.name, each.label) for each in events] == [
        ("foreground/audio_train/a.wav", "Oboe")
    ]
    assert [(each.name, each.source) for each in scenes] == [
        (f"background/audio/{scene}.wav", "vienna-75")
    ]


def test_settings_that_contradict_each_other() -> None:
    with pytest.raises(PipelineError, match=r"source esc50 and table meta/esc50\.csv"):
        SoundscapesSettings(source="esc50", table="meta/esc50.csv")
    with pytest.raises(PipelineError, match="source_options are given and no source"):
        SoundscapesSettings(source_options={"verified": "true"})
