"""A cluster of two machines with separate disks: refused before any work, or all is there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packing import files, write_noise
from s3_server import S3Server, s3_server
from two_nodes import OTHER, TwoNodes, needs_mounts, two_nodes

from cluster.storage.filesystems import filesystem
from shards.io.store import Store
from shards.repair.verification import verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[4]
CLIPS = 12


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    needs_mounts()
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def nodes(s3: S3Server) -> Iterator[TwoNodes]:
    with two_nodes(s3.environment) as cluster:
        for number in range(CLIPS):
            write_noise(cluster.shared / "source" / f"{number}.wav", seed=number, seconds=1.0)
        yield cluster


def pmam(
    *arguments: object, nodes: TwoNodes, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines", *map(str, arguments)]
    return subprocess.run(
        [*command, "--address", nodes.address],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
        # Under `uv run pytest`, Ray would build an environment for each of its workers.
        env={
            **os.environ,
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            "PYTHONPATH": str(ROOT),
            **nodes.token,
            **environment,
        },
    )


def pack(source: object, out: object, nodes: TwoNodes, **more: object) -> object:
    return pmam("pack", source, out, "--shard-mb", "0.03", nodes=nodes, **more)


def refusal(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stdout == ""
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("pmam: error: "), ended.stderr
    assert "Traceback" not in ended.stderr
    return line


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_output_on_each_nodes_own_disk(nodes: TwoNodes) -> None:
    """Without the check, pack says that all is well, with a part of the shards on each disk."""
    out = nodes.own / "sets" / "out"
    said = refusal(pack(nodes.shared / "source", out, nodes))
    assert f"{out}: node {OTHER} (id " in said
    assert "127.0.0.1" not in said
    assert "does not see what other machines write there" in said
    assert "give a URL such as s3://" in said
    assert everything(nodes.own) == everything(nodes.other_own) == set()


def test_a_node_that_cannot_write_to_what_all_see(nodes: TwoNodes) -> None:
    out = nodes.shared / "read-only"
    out.mkdir()
    inside = ["nsenter", "-m", "-t", str(nodes.other)]
    subprocess.run([*inside, "mount", "--bind", "-o", "ro", out, out], check=True)
    try:
        said = refusal(pack(nodes.shared / "source", out, nodes))
    finally:
        subprocess.run([*inside, "umount", out], check=True)
    assert f"{out}: node {OTHER} (id " in said
    assert "cannot write there (" in said
    assert "ead-only file system" in said
    assert everything(out) == set()


def test_shards_that_lie_on_one_nodes_own_disk(nodes: TwoNodes) -> None:
    """The dataset's own folder is shared, its shards are not."""
    packed, view = nodes.own / "packed", nodes.shared / "view"
    for command in (
        ["pack", nodes.shared / "source", packed],
        ["reindex", "filter", packed, view, "--where", "duration_s > 0"],
    ):
        alone = [sys.executable, "-m", "pipelines", *map(str, command)]
        subprocess.run(alone, cwd=ROOT, check=True, capture_output=True, timeout=200)
    said = refusal(pmam("embed", view, nodes.shared / "embedded", nodes=nodes))
    assert f"{packed}/shards/" in said
    assert f"node {OTHER} (id " in said
    assert not (nodes.shared / "embedded").exists()


@pytest.mark.parametrize("place", ["shared folder", "S3"])
def test_a_place_that_all_share(nodes: TwoNodes, s3: S3Server, place: str) -> None:
    out = s3.url("new/set") if place == "S3" else str(nodes.shared / "new" / "set")
    ended = pack(nodes.shared / "source", out, nodes)
    assert ended.returncode == 0, ended.stderr
    dataset = Store(*filesystem(out))
    report = verify(dataset)
    assert report.problems == ()
    assert (report.clips, report.shards > 3) == (CLIPS, True)
    folder = s3.file("new/set") if place == "S3" else Path(out)
    assert [name for name in files(folder) if "probe" in name] == []
