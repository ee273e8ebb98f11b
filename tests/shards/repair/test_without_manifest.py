"""A dataset whose manifest is damaged is told so, and its tars are checked as far as can be."""

import json
from pathlib import Path

import pytest
from packing import noise_clips, pack

from pipelines.cli.main import main
from shards.dataset import Dataset
from shards.io.store import Store
from shards.repair.verification import ShardChecker, verify


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    assert len(dataset.manifest.shards) >= 2
    return dataset


def damage(dataset: Dataset, data: bytes | None) -> None:
    manifest = Path(dataset.store.path("dataset.json"))
    manifest.unlink() if data is None else manifest.write_bytes(data)


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b'{"format_version": 99}', b"[1]", None])
def test_the_damaged_manifest_is_the_only_problem_of_whole_shards(
    dataset: Dataset, data: bytes | None
) -> None:
    damage(dataset, data)
    seen = []
    report = verify(dataset.store, on_shard=seen.append)
    [problem] = report.problems
    assert problem.kind == "manifest" and "--repair" in problem.what
    assert (report.clips, report.shards) == (9, len(seen))


@pytest.mark.parametrize("with_index", [True, False])
def test_damaged_audio_and_lost_tars_are_found(
    dataset: Dataset, with_index: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (shard.name for shard in dataset.manifest.shards[:2])
    row = next(row for row in dataset.rows if row.shard == first)
    path = Path(dataset.store.path(first))
    data = bytearray(path.read_bytes())
    data[row.offset : row.offset + 600] = bytes(600)
    path.write_bytes(data)
    Path(dataset.store.path(second)).unlink()
    damage(dataset, b"{")
    if not with_index:
        Path(dataset.store.path(dataset.manifest.index.name)).unlink()
    with pytest.raises(SystemExit) as ended:
        main(["verify", dataset.store.root])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert f"audio: {first}/{row.key}" in out and "manifest: " in out
    assert (f"checksum: {first}/{row.key}" in out) == with_index
    assert (f"missing: {second}: the index names it" in out) == with_index
    assert any(
        each.kind == "audio" for each in ShardChecker(dataset.store, 1.0, Store.local)(first)
    )


def test_where_there_is_nothing_to_read_that_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(tmp_path)])
    assert ended.value.code == 2 and "format version 99" in capsys.readouterr().err
