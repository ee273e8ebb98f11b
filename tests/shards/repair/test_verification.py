"""Every fault that a dataset can have is found, and a whole one is not blamed."""

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packing import noise_clips, pack

from shards.dataset import Dataset
from shards.index import rows_to_table
from shards.manifest import MANIFEST, totals
from shards.repair.verification import verify
from shards.repair.verify_shard import verify_shard


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    assert len(dataset.manifest.shards) >= 2
    return dataset


def shard_path(dataset: Dataset, number: int = 0) -> Path:
    return Path(dataset.store.path(dataset.manifest.shards[number].name))


def kinds(dataset: Dataset, **options: object) -> set[str]:
    return {problem.kind for problem in verify(dataset.store, **options).problems}


def change_manifest(dataset: Dataset, change: Callable[[dict], None]) -> None:
    values = json.loads(dataset.store.read(MANIFEST))
    change(values)
    dataset.store.write(MANIFEST, json.dumps(values).encode())


def add_member(path: Path, name: str, data: bytes) -> None:
    with tarfile.open(path, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


def trust(dataset: Dataset, rows: list) -> None:
    """Put rows into the index and make the manifest's checksums follow."""
    buffer = io.BytesIO()
    pq.write_table(rows_to_table(rows), buffer)
    name = dataset.manifest.index.name
    dataset.store.write(name, buffer.getvalue())

    def change(values: dict) -> None:
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        values["index"] = {"name": name, "size": len(buffer.getvalue()), "sha256": digest}

    change_manifest(dataset, change)


def test_a_whole_dataset_has_no_problem(dataset: Dataset) -> None:
    seen = []
    report = verify(dataset.store, on_shard=seen.append)
    assert report.ok
    assert report.clips == 9
    assert report.shards == len(dataset.manifest.shards)
    assert seen == list(dataset.manifest.shards)


def test_a_flipped_bit_anywhere_in_the_audio(dataset: Dataset) -> None:
    row = dataset.rows[0]
    path = Path(dataset.store.path(row.shard))
    data = bytearray(path.read_bytes())
    data[row.offset + row.size // 2] ^= 4
    path.write_bytes(data)
    report = verify(dataset.store, decode="none")
    assert {(problem.kind, problem.where) for problem in report.problems} == {
        ("checksum", row.shard),
        ("checksum", f"{row.shard}/{row.key}.flac"),
    }


def test_a_flipped_bit_in_a_header(dataset: Dataset) -> None:
    row = dataset.rows[1]
    path = Path(dataset.store.path(row.shard))
    data = bytearray(path.read_bytes())
    data[row.offset - 512] ^= 1  # its name
    path.write_bytes(data)
    assert {"missing", "checksum"} <= kinds(dataset)


@pytest.mark.parametrize("left", [0, 100, 512, 700, 5000])
def test_a_truncated_tar(dataset: Dataset, left: int) -> None:
    path = shard_path(dataset)
    path.write_bytes(path.read_bytes()[:left])
    assert {"size", "checksum", "missing"} <= kinds(dataset)


def test_a_missing_shard(dataset: Dataset) -> None:
    shard_path(dataset, 1).unlink()
    [problem] = verify(dataset.store).problems
    assert str(problem).startswith("missing: shards/00001.tar: the manifest names it")


def test_a_foreign_shard_and_index(dataset: Dataset) -> None:
    dataset.store.write("shards/99999.tar", b"")
    dataset.store.write("index/other.parquet", b"")
    dataset.store.write("README.md", b"not ours to judge")
    found = {(problem.kind, problem.where) for problem in verify(dataset.store).problems}
    assert found == {("foreign", "shards/99999.tar"), ("foreign", "index/other.parquet")}


def test_a_shard_replaced_by_another(dataset: Dataset) -> None:
    shard_path(dataset, 0).write_bytes(shard_path(dataset, 1).read_bytes())
    assert {"foreign", "missing", "checksum"} <= kinds(dataset)


def test_a_doubled_key(dataset: Dataset) -> None:
    row = dataset.rows[0]
    trust(dataset, [*dataset.rows, replace(row, shard=dataset.rows[-1].shard)])
    found = [str(problem) for problem in verify(dataset.store, decode="none").problems]
    assert f"index: {row.key}: the same key 2 times" in found


def test_a_doubled_member(dataset: Dataset) -> None:
    row = dataset.rows[0]
    add_member(Path(dataset.store.path(row.shard)), f"{row.key}.flac", dataset.read(row))
    found = [str(problem) for problem in verify(dataset.store).problems]
    assert any(f"foreign: {row.shard}/{row.key}.flac" in problem for problem in found)


@pytest.mark.parametrize("name", ["../../escape.flac", "/etc/passwd", "sub/x.json"])
def test_foreign_members(dataset: Dataset, name: str) -> None:
    add_member(shard_path(dataset), name, b"x")
    problems = verify(dataset.store).problems
    assert any(problem.kind == "foreign" and problem.where.endswith(name) for problem in problems)


def test_an_index_that_lies(dataset: Dataset) -> None:
    first, second, third, *rest = dataset.rows
    lies = [
        replace(first, offset=first.offset + 512),
        replace(second, num_samples=second.num_samples + 1),
        replace(third, source_id="somebody else"),
        *rest,
    ]
    trust(dataset, lies)
    assert kinds(dataset) == {"range", "audio", "json", "manifest"}  # manifest: the seconds differ


def test_a_manifest_that_lies(dataset: Dataset) -> None:
    def change(values: dict) -> None:
        values["totals"]["clips"] += 1
        values["shards"][0]["clips"] += 1
        values["shards"][1]["size"] += 1
        values["classes"] = ["rain"]

    change_manifest(dataset, change)
    problems = verify(dataset.store).problems
    assert {(problem.kind, problem.where) for problem in problems} == {
        ("manifest", "totals"),
        ("manifest", "shards/00000.tar"),
        ("size", "shards/00001.tar"),
        ("manifest", "noise"),
    }


def test_rows_of_a_shard_that_the_manifest_does_not_name(dataset: Dataset) -> None:
    change_manifest(dataset, lambda values: values["shards"].pop())
    assert kinds(dataset) == {"manifest", "foreign"}


def test_no_manifest_and_no_index(dataset: Dataset) -> None:
    Path(dataset.store.path(dataset.manifest.index.name)).unlink()
    assert kinds(dataset) == {"index"}
    Path(dataset.store.path(MANIFEST)).unlink()
    assert kinds(dataset) == {"manifest"}


def test_decoding_finds_what_checksums_cannot(dataset: Dataset) -> None:
    """Bytes and index agree, but the bytes are no audio."""
    row, *others = [row for row in dataset.rows if row.shard == dataset.rows[0].shard]
    path = Path(dataset.store.path(row.shard))
    data = bytearray(path.read_bytes())
    data[row.offset : row.offset + row.size] = bytes(row.size)
    path.write_bytes(data)
    shard = replace(dataset.manifest.shards[0], sha256=hashlib.sha256(data).hexdigest())
    silence = bytes(row.size)
    lie = replace(row, checksum=hashlib.sha256(silence).hexdigest(), crc32=zlib.crc32(silence))
    assert verify_shard(dataset.store, shard, [lie, *others], 0.0) == []
    [problem] = verify_shard(dataset.store, shard, [lie, *others], 1.0)
    assert problem.kind == "audio"


def test_totals_of_nothing_and_bad_share(dataset: Dataset) -> None:
    assert totals([]).clips == 0
    assert verify(dataset.store, decode=0.5).ok
    with pytest.raises(ValueError, match=r"got decode=1\.5; expected"):
        verify(dataset.store, decode=1.5)
