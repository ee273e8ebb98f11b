"""A dataset whose index is damaged is told so, and all that can be checked without it is."""

import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from packing import noise_clips, pack

from pipelines.cli.main import main
from shards.dataset import Dataset
from shards.io.store import Store
from shards.repair.verification import Report, ShardChecker, verify


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    assert len(dataset.manifest.shards) >= 2
    return dataset


def path_of(dataset: Dataset, number: int) -> Path:
    return Path(dataset.store.path(dataset.manifest.shards[number].name))


def other_columns() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    return file.getvalue()


def rewritten(path: Path, change: dict[str, bytes | None]) -> None:
    """A tar with other contents of some members, by their suffix; None leaves them out."""
    with tarfile.open(path) as tar:
        members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            data = change.get(name.rpartition(".")[2], data)
            if data is not None:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("data", [b"", b"no Parquet", other_columns(), None])
def test_the_damaged_index_is_the_only_problem_of_whole_shards(
    dataset: Dataset, data: bytes | None
) -> None:
    index = Path(dataset.store.path(dataset.manifest.index.name))
    index.unlink() if data is None else index.write_bytes(data)
    seen = []
    report = verify(dataset.store, on_shard=seen.append)
    [problem] = report.problems
    assert (problem.kind, problem.where) == ("index", dataset.manifest.index.name)
    assert "--repair" in problem.what
    assert (report.clips, report.shards) == (9, len(seen))


def without_index(dataset: Dataset) -> Report:
    Path(dataset.store.path(dataset.manifest.index.name)).write_bytes(b"x")
    return verify(dataset.store)


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"json": b"{"}, "json", "no clip description"),
        ({"json": None}, "missing", "its description"),
        ({"flac": None}, "missing", "its audio"),
        ({"flac": b"fLaC" + bytes(300)}, "audio", ".flac"),
    ],
)
def test_what_is_wrong_inside_a_tar(
    dataset: Dataset, change: dict[str, bytes | None], kind: str, said: str
) -> None:
    rewritten(path_of(dataset, 0), change)
    found = without_index(dataset).problems
    lost = [problem for problem in found if problem.kind == kind and problem.where != "totals"]
    assert len(lost) == dataset.manifest.shards[0].clips
    assert all(said in str(problem) for problem in lost)
    assert "checksum" in {problem.kind for problem in found}


def test_lost_clips_tars_and_bytes(dataset: Dataset) -> None:
    rewritten(path_of(dataset, 0), {"json": None, "flac": None})
    path_of(dataset, 1).unlink()
    (path_of(dataset, 1).parent / "more.tar").write_bytes(bytes(1024))
    found = {(problem.kind, problem.where) for problem in without_index(dataset).problems}
    first, second = (shard.name for shard in dataset.manifest.shards[:2])
    expected = {("manifest", first), ("size", first), ("checksum", first), ("missing", second)}
    assert found >= expected | {("foreign", "shards/more.tar")}


def test_workers_and_the_command_check_them_too(
    dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    path = path_of(dataset, 0)
    path.write_bytes(path.read_bytes()[:-2000])
    without_index(dataset)
    check = ShardChecker(dataset.store, 1.0, Store.local)
    assert "size" in {problem.kind for problem in check(dataset.manifest.shards[0].name)}
    assert check(dataset.manifest.shards[1].name) == []
    with pytest.raises(SystemExit) as ended:
        main(["verify", dataset.store.root])
    out = capsys.readouterr().out
    assert ended.value.code == 1
    assert f"index: {json.loads(dataset.store.read('dataset.json'))['index']['name']}" in out
    assert f"size: {dataset.manifest.shards[0].name}" in out
