"""`verify` by workers of a cluster says what it says in one process, in the same order."""

from pathlib import Path

import pytest
from packing import noise_clips, pack

from pipelines.stages.verify import verify_dataset
from shards.dataset import Dataset


def damage(dataset: Dataset, folder: Path) -> None:
    """A flipped bit in one shard, and one that is not there."""
    shards = [folder / shard.name for shard in dataset.manifest.shards]
    assert len(shards) > 2
    first = bytearray(shards[0].read_bytes())
    first[700] ^= 1
    shards[0].write_bytes(first)
    shards[-1].unlink()


def test_the_same_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    folder = tmp_path / "set"
    clips = noise_clips(tmp_path / "noise", 6)
    dataset, _ = pack(tmp_path / "noise", clips, folder, target_bytes=4000)
    damage(dataset, folder)
    monkeypatch.setattr("pipelines.stages.verify.is_running", lambda: False)
    with pytest.raises(SystemExit) as alone:
        verify_dataset(str(folder), 1.0)
    told = capsys.readouterr().out
    monkeypatch.undo()
    request.getfixturevalue("ray_session")
    monkeypatch.chdir(tmp_path)  # workers have another working directory
    with pytest.raises(SystemExit) as together:
        verify_dataset("set", 1.0)
    assert capsys.readouterr().out == told
    assert told.count("\n") >= 3
    assert alone.value.code == together.value.code == 1
