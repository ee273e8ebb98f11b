"""Recordings for mixing out of published layouts: FSDKaggle2018 over TAU Urban scenes."""

from pathlib import Path

import pytest

from shards.io.store import Store
from shards.soundscapes.of_source import recordings_of_source
from shards.soundscapes.recordings import Recording, RecordingError
from shards.sources import SourceError


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def kaggle(root: Path) -> Store:
    write(
        root / "train.csv",
        "fname,label,manually_verified,freesound_id\n"
        "a.wav,Hi-hat,1,17\nb.wav,Hi-hat,0,17\nc.wav,Oboe,1,18\ngone.wav,Oboe,1,19\n",
    )
    for name in "abcd":
        write(root / f"audio_train/{name}.wav")
    return Store.local(root)


def test_the_class_and_the_recording_that_a_file_was_cut_from(tmp_path: Path) -> None:
    found, notes = recordings_of_source(kaggle(tmp_path), "fsdkaggle2018", {}, "foreground")
    assert found == [
        Recording(name=f"foreground/audio_train/{name}.wav", label=label, source=source)
        for name, label, source in [
            ("a", "Hi-hat", "17"),
            ("b", "Hi-hat", "17"),
            ("c", "Oboe", "18"),
        ]
    ]
    assert "1 recordings are listed and not there, such as audio_train/gone.wav" in notes
    assert "1 audio files are in no table: left out, such as audio_train/d.wav" in notes


def test_options_of_the_source(tmp_path: Path) -> None:
    options = {"verified": "true"}
    found, _ = recordings_of_source(kaggle(tmp_path), "fsdkaggle2018", options, "x")
    assert [each.name for each in found] == ["x/audio_train/a.wav", "x/audio_train/c.wav"]
    with pytest.raises(SourceError, match="unknown option 'verifed'"):
        recordings_of_source(kaggle(tmp_path), "fsdkaggle2018", {"verifed": "1"}, "x")


def test_scenes_and_their_places(tmp_path: Path) -> None:
    name = "airport-lisbon-1000-40000-a"
    row = f"audio/{name}.wav\tairport\tlisbon-1000\ta\n"
    write(tmp_path / "meta.csv", "filename\tscene_label\tidentifier\tsource_label\n" + row)
    write(tmp_path / f"audio/{name}.wav")
    found, _ = recordings_of_source(Store.local(tmp_path), "tau_urban", {}, "background")
    assert found == [
        Recording(name=f"background/audio/{name}.wav", label="airport", source="lisbon-1000")
    ]


def test_what_cannot_be_mixed(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="source 'kaggle': expected one of folder, "):
        recordings_of_source(kaggle(tmp_path / "k"), "kaggle", {}, "x")
    write(tmp_path / "flat" / "a.wav")
    with pytest.raises(RecordingError, match="none of the 1 clips of source folder has one class"):
        recordings_of_source(Store.local(tmp_path / "flat"), "folder", {}, "x")
