"""A part counts only with all of its outputs; what killed writers left is removed."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input_cases import write_source

from pipelines.runtime.stage import record_of
from pipelines.stages.pack.stage import pack
from pipelines.stages.settings import PackSettings

SETTINGS = PackSettings(shard_mb=0.02, codec="wav")
pytestmark = pytest.mark.usefixtures("ray_session")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    pack(str(write_source(folder / "source")), str(folder / "dataset"), SETTINGS)
    return folder


def cut(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_a_part_without_its_output_is_done_again(
    packed: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """After a kill: the stage is not marked whole, and one shard is not what its part says."""
    out = packed / "dataset"
    kept = tmp_path / "kept"
    shutil.copytree(out, kept)
    first, *others = sorted(out.glob("shards/*.tar"))
    assert others
    whole, times = first.read_bytes(), [shard.stat().st_mtime_ns for shard in others]
    (out / "stage.json").unlink()
    damage(first)
    pack(str(packed / "source"), str(out), SETTINGS)
    assert first.read_bytes() == whole
    assert [shard.stat().st_mtime_ns for shard in others] == times
    assert record_of(str(out))["files"].keys() == record_of(str(kept))["files"].keys()
    assert (out / "dataset.json").read_bytes() == (kept / "dataset.json").read_bytes()


def test_what_killed_writers_left_is_removed(packed: Path) -> None:
    out = packed / "dataset"
    (out / "stage.json").unlink()
    dead, alive = out / "shards" / ".part-1-a.tar", out / "shards" / ".part-2-a.tar"
    dead.write_bytes(b"half")
    os.utime(dead, (1.0, 1.0))
    alive.write_bytes(b"half")
    later = alive.stat().st_mtime + 3600  # a writer that began while this stage was at work
    os.utime(alive, (later, later))
    pack(str(packed / "source"), str(out), SETTINGS)
    assert not dead.exists()
    assert alive.exists()
    alive.unlink()
