"""What a folder holds is packed, or told: other kinds of files, links, all faults at once."""

import json
from pathlib import Path

import pytest
from bad_input_cases import write_source
from in_driver import shards_in_driver

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
    for name in ("weak/x.ape", "weak/y.dsf", "z.dsf", "README"):
        (source / name).write_bytes(b"?")
    packed = result(pack(str(source), str(tmp_path / "set"), PackSettings()))
    (note,) = [note for note in packed["notes"] if "not read" in note]
    assert "3 (2 .dsf, 1 .ape)" in note


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
