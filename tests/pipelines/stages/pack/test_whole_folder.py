"""What a folder holds is packed, or told: other kinds of files, links, all faults at once."""

import json
import os
from pathlib import Path

import pytest
from bad_input_cases import write_source
from in_driver import shards_in_driver
from sound_files import by_ffmpeg, needs_ffmpeg, noise

from pipelines.runtime.files.urls import open_dataset
from pipelines.stages.pack.stage import pack
from pipelines.stages.settings import PackSettings
from shards.sources._tables import SourceError


@pytest.fixture(autouse=True)
def _in_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    shards_in_driver(monkeypatch, "pipelines.stages.pack.stage")


def result(url: str) -> dict:
    return json.loads((Path(url) / "stage.json").read_text())["result"]


def test_files_of_no_known_kind_are_counted(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    for name in ("weak/x.xyz", "weak/y.aup", "z.aup", "README"):
        (source / name).write_bytes(b"?")
    packed = result(pack(str(source), str(tmp_path / "set"), PackSettings()))
    (note,) = [note for note in packed["notes"] if "not read" in note]
    assert "3 (2 .aup, 1 .xyz)" in note


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    for name in ("d", "e"):
        (source / "weak" / f"{name}.flac").symlink_to(f"/moved/{name}.flac")
    with pytest.raises(SourceError, match=r"2 faults: .*d\.flac: a link .*e\.flac: a link that"):
        pack(str(source), str(tmp_path / "set"), PackSettings())
    assert not (tmp_path / "set").exists()
    url = pack(str(source), str(tmp_path / "set"), PackSettings(on_error="skip"))
    assert [name for name, _ in result(url)["skipped"]] == ["weak/d.flac", "weak/e.flac"]
    assert result(url)["clips"] == 4


def test_recordings_that_differ_in_their_suffix_alone(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    data = (source / "weak" / "a.flac").read_bytes()
    for name in ("weak/x.flac", "weak/x.wav", "weak/y.wav", "weak/y.flac", "weak/y.ogg"):
        (source / name).write_bytes(data)
    said = r"^weak/x\.flac and weak/x\.wav; weak/y\.flac and weak/y\.ogg and weak/y\.wav: names"
    with pytest.raises(SourceError, match=said):
        pack(str(source), str(tmp_path / "set"), PackSettings())
    found = result(pack(str(source), str(tmp_path / "set"), PackSettings(on_error="skip")))
    assert len(found["skipped"]) == 5
    assert all("rename" in why for _, why in found["skipped"])
    assert found["clips"] == 4


@needs_ffmpeg
def test_every_kind_that_is_read_by_name_is_found_in_a_folder(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    kinds = [".ac3", ".au", ".caf", ".mp2", ".tta", ".voc", ".wv"]
    for suffix in kinds:
        data = by_ffmpeg(noise(0.5, 8000), 8000, suffix, ["-ar", "32k"])
        (source / f"{suffix[1:]}{suffix}").write_bytes(data)
    url = pack(str(source), str(tmp_path / "set"), PackSettings())
    assert result(url)["clips"] == len(kinds)
    assert not [note for note in result(url)["notes"] if "not read" in note]
    with_lengths = {row.source_id: row.num_samples for row in open_dataset(url).rows}
    for suffix in kinds:
        count = with_lengths[suffix[1:]]
        assert count == pytest.approx(16_000, abs=3000)


def test_odd_names_links_and_doubled_names_are_told_at_once(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    data = (source / "weak" / "a.flac").read_bytes()
    (source / "weak" / "x.flac").write_bytes(data)
    (source / "weak" / "x.wav").write_bytes(data)
    (source / "weak" / "gone.flac").symlink_to("/moved/gone.flac")
    Path(os.fsdecode(os.fsencode(source / "weak") + b"/v\xf6gel.flac")).write_bytes(data)
    with pytest.raises(SourceError) as raised:
        pack(str(source), str(tmp_path / "set"), PackSettings())
    text = str(raised.value)
    assert text.startswith("3 faults: ") and "v\\xf6gel.flac" in text
    assert "gone.flac: a link" in text and "weak/x.flac and weak/x.wav" in text
    assert not (tmp_path / "set").exists()
