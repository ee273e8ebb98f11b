"""Local files that appear whole: in which order things happen, and what is left of failures."""

import os
from pathlib import Path

import pytest

from shards.io.atomic import TEMPORARY, write_whole


@pytest.mark.parametrize("durable", [True, False])
def test_bytes_are_on_the_disk_before_the_name_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    final, synced = tmp_path / "folder" / "a.json", []

    def fsync(number: int) -> None:
        (left,) = final.parent.iterdir()  # the final name is not there yet
        assert left.name.startswith(TEMPORARY)
        assert os.fstat(number).st_ino == left.stat().st_ino
        synced.append(left.read_bytes())

    monkeypatch.setattr(os, "fsync", fsync)
    write_whole(final, lambda new: new.write_bytes(b"whole"), durable=durable)
    assert synced == ([b"whole"] if durable else [])
    assert [path.name for path in final.parent.iterdir()] == ["a.json"]
    assert final.read_bytes() == b"whole"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    write_whole(final, lambda new: new.write_bytes(b"old"))

    def half(new: Path) -> None:
        new.write_bytes(b"ha")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_whole(final, half)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert final.read_bytes() == b"old"
