"""Re-indexing, repairing and embedding datasets whose shards lie in an object store."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from foreign_cases import sound, write_tar
from packing import noise_clips, pack
from s3_server import S3Server, s3_server

from pipelines.runtime.files.urls import open_dataset
from pipelines.runtime.stage import record_of

ROOT = Path(__file__).resolve().parents[4]
COMMAND = "import sys; from pipelines.cli.main import main; main(sys.argv[1:])"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[S3Server]:
    with s3_server(tmp_path) as running:
        yield running


def pmam(*arguments: object, status: int = 0) -> str:
    """A command in a process of its own: Ray's workers get the environment it starts with."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == status, done.stdout + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_foreign_tars_in_a_bucket_get_an_index_and_are_embedded(
    tmp_path: Path, server: S3Server
) -> None:
    for shard in range(2):
        members = [
            (f"clip{n}.{kind}", value)
            for n in range(3 * shard, 3 * shard + 3)
            for kind, value in (("flac", sound(n)), ("cls", str(n % 2)))
        ]
        write_tar(server.file(f"tars/s-{shard:03d}.tar"), members)
    out, near = server.url("indexed"), tmp_path / "near"
    classes = ("--classes", "cat", "dog")
    pmam("reindex", "foreign", server.url("tars"), out, *classes)
    pmam("reindex", "foreign", server.url("tars"), near, *classes)
    for place in (out, str(near)):
        dataset = open_dataset(place)
        assert [dataset.read(row) for row in dataset.rows] == [sound(n) for n in range(6)]
        assert [row.weak for row in dataset.rows] == [("cat",), ("dog",)] * 3
        pmam("verify", place)
    assert not list(server.file("indexed").rglob("*.tar"))
    where = server.url("filtered")
    pmam("reindex", "filter", out, where, "--where", 'weak == ["cat"] or "dog" in weak')
    # the index is here, the audio in the bucket
    embedding = (
        "--encoder.name",
        "small_cnn",
        "--subsets",
        "weak",
        "--calibration.subsets",
        "weak",
    )
    for place in (near, where):
        pmam("embed", place, tmp_path / "embedded", *embedding, "--fresh")
        assert record_of(str(tmp_path / "embedded"))["result"]["clips"] == 6


def test_a_dataset_in_a_bucket_is_verified_and_repaired(tmp_path: Path, server: S3Server) -> None:
    packed, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), server.file("data"))
    url, row = server.url("data"), packed.rows[4]
    held = {r.key: packed.read(r) for r in packed.rows}
    pmam("verify", url)
    index = next(server.file("data/index").iterdir())
    index.write_bytes(index.read_bytes()[:-20])
    pmam("verify", url, status=1)
    pmam("verify", url, "--repair")
    again = open_dataset(url)
    assert {r.key: again.read(r) for r in again.rows} == held
    shard = server.file(f"data/{row.shard}")
    data = bytearray(shard.read_bytes())
    data[row.offset + row.size // 2] ^= 1
    shard.write_bytes(data)
    assert row.key in pmam("verify", url, status=1)
    pmam("verify", url, "--repair", "--drop-lost")
    left = open_dataset(url)
    assert {r.key: left.read(r) for r in left.rows} == {
        key: audio for key, audio in held.items() if key != row.key
    }
