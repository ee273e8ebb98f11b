"""A full disk is named, also where a library's error does not say which."""

import errno
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from pipelines.cli import main as cli
from pipelines.runtime.files.room import named_room
from shards.errors import StoreError

Usage = namedtuple("Usage", "total used free")
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose disk is full; all others have room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda path: Usage(10**9, 0, 0 if disk in (path, *Path(path).parents) else 10**9),
    )
    return disk


@pytest.mark.parametrize("given", ["{}", "{}/new/run", "--out={}/run"])
def test_the_folder_among_the_arguments(full: Path, given: str) -> None:
    told = named_room(FULL, ["--k", "30", given.format(full), "s3://bucket/x"])
    assert told.startswith(f"{full} (0.0 MB free): No space left on device; free some space there")


def test_the_folder_of_temporary_files(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(full))
    assert named_room(FULL, ["elsewhere"]).startswith(f"{full} (0.0 MB free): No space")


def test_a_disk_that_has_room_again() -> None:
    assert "free some space where the output goes and in" in named_room(FULL, [])


def test_what_names_its_file_already() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/a/b.bin")
    assert named_room(error, []).startswith("/a/b.bin: No space left on device; free some space")
    assert named_room(StoreError("/x: full; do"), ["y"]) == "/x: full; do"
    assert "ulimit -n" in named_room(OSError(errno.EMFILE, "Too many open files"), [])
    assert named_room(MemoryError(), []) == "MemoryError"


def test_a_command_ends_with_it(
    full: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: list[str]) -> None:
        raise FULL

    monkeypatch.setattr(cli, "_load", lambda _: fails)
    with pytest.raises(SystemExit):
        cli.main(["pack", "x", str(full)])
    assert f"{full} (0.0 MB free)" in "".join(capsys.readouterr().err.split("\n"))
