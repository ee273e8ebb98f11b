"""Packing and indexing foreign shards at URLs: read once, by range, or refused."""

import gzip
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_cases import sound, write_tar
from http_server import HttpFiles, http_files

from cluster.storage.http import NoRangesError
from cluster.storage.urls import StorageError
from pipelines.cli.main import main
from pipelines.presets.settings import RunSettings
from pipelines.presets.source import packed
from pipelines.runtime.files.run_folder import RunFolder
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.workers.parallel_map import ShardTaskError
from pipelines.stages.pack.stage import pack
from pipelines.stages.reindex.foreign import reindex_foreign
from pipelines.stages.reindex.settings import ForeignDataset
from pipelines.stages.settings import PackSettings
from shards.editing.foreign import ForeignSettings
from shards.io.store import Store
from shards.locations import Places
from shards.manifest import DatasetError, ShardEntry
from shards.sources._tables import SourceError

SETTINGS = PackSettings(source="webdataset", options={"labels": "cls", "classes": "cat,dog"})
LIST = "s-{000..001}.tar"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs the program curl")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpFiles]:
    for shard in range(2):
        members = [
            (f"clip{n}.{kind}", value)
            for n in range(3 * shard, 3 * shard + 3)
            for kind, value in (("flac", sound(n)), ("cls", str(n % 2)))
        ]
        write_tar(tmp_path / "served" / f"s-{shard:03d}.tar", members)
    with http_files(tmp_path / "served") as running:
        yield running


def check(out: str) -> None:
    dataset = open_dataset(out)
    held = {row.source_id: (dataset.read(row), row.weak) for row in dataset.rows}
    assert held == {f"clip{n}": (sound(n), (("cat", "dog")[n % 2],)) for n in range(6)}


@needs_curl
@pytest.mark.usefixtures("ray_session")
def test_shards_are_fetched_once_packed_and_not_kept(server: HttpFiles, tmp_path: Path) -> None:
    """Also where the first try failed between two shards, and the server knows no ranges."""
    server.ranges = False
    second, out = server.folder / "s-001.tar", str(tmp_path / "out")
    packed = gzip.compress(second.read_bytes())  # known by its bytes, not its name
    second.unlink()
    with pytest.raises(ShardTaskError, match=r"s-001.tar: .* the server refuses it"):
        pack(server.url(LIST), out, SETTINGS, inputs={"source": lambda: "x"})
    second.write_bytes(packed)
    check(pack(server.url(LIST), out, SETTINGS, inputs={"source": lambda: "x"}))
    assert [server.whole(f"s-00{n}.tar") for n in (0, 1)] == [1, 2]
    folders = sorted(path.name for path in Path(out).iterdir() if path.is_dir())
    assert folders == ["index", "parts", "shards"]


def test_wrong_options_are_found_before_anything_is_fetched(
    server: HttpFiles, tmp_path: Path
) -> None:
    wrong = replace(SETTINGS, options={"audoi": "flac"})
    with pytest.raises(SourceError, match="did you mean 'audio'"):
        pack(server.url(LIST), str(tmp_path / "out"), wrong)
    with pytest.raises(StorageError, match="only --source webdataset reads it"):
        pack(server.url(LIST), str(tmp_path / "out"), PackSettings())
    assert not server.requests and not (tmp_path / "out").exists()


@pytest.mark.usefixtures("ray_session")
def test_commands_are_typed_and_allowed_or_refused(
    server: HttpFiles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, out = tmp_path / "made", str(tmp_path / "out")
    spec = f"pipe:echo >> {made}; cat {server.folder}/{LIST}"
    options = ("--source", "webdataset", "--options", "labels", "cls", "classes", "cat,dog")
    with pytest.raises(SystemExit):
        main(["pack", spec, out, *options])
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "--allow-pipe" in lines[0]
    assert not made.exists() and not Path(out).exists()
    main(["pack", spec, out, *options, "--allow-pipe"])
    check(out)
    assert made.read_text() == "\n\n"  # once each
    assert spec not in "".join(p.read_text() for p in Path(out).glob("*.json"))


@pytest.mark.parametrize("source", ["folder", "webdataset"])
def test_settings_of_a_run_name_no_command(tmp_path: Path, source: str) -> None:
    made = tmp_path / "made"
    settings = RunSettings(data=f"pipe:touch {made}", pack=PackSettings(source=source))
    with pytest.raises(StorageError, match="--source webdataset"):
        packed(settings, RunFolder(str(tmp_path)))
    assert not made.exists()


def test_commands_are_not_indexed_nor_read_from_a_manifest(tmp_path: Path) -> None:
    command = f"pipe:touch {tmp_path}/made"
    with pytest.raises(StorageError, match="is refused here"):
        reindex_foreign([command], str(tmp_path / "no"), ForeignSettings(), ForeignDataset())
    for url in (command, command.upper(), f"pipe://{tmp_path}/a.tar"):
        entry = ShardEntry(name="shards/a.tar", size=1, sha256="", clips=1, url=url)
        with pytest.raises(DatasetError, match="which a manifest may not name"):
            Places(Store.local(tmp_path), [entry], store)("shards/a.tar")
    assert not (tmp_path / "made").exists()


@pytest.mark.usefixtures("ray_session")
def test_an_index_over_http_reads_by_range(server: HttpFiles, tmp_path: Path) -> None:
    rule = ForeignSettings(classes=("cat", "dog"))
    out = reindex_foreign([server.url(LIST)], str(tmp_path / "out"), rule, ForeignDataset())
    check(out)
    assert not list(Path(out).rglob("*.tar"))
    assert not any(server.whole(f"s-00{n}.tar") for n in (0, 1))
    server.ranges = False
    with pytest.raises(NoRangesError, match="answers no byte ranges"):
        check(out)
    with pytest.raises(NoRangesError, match="answers no byte ranges"):
        reindex_foreign([server.url(LIST)], str(tmp_path / "new"), rule, ForeignDataset())
    with pytest.raises(FileNotFoundError, match="no such file"):
        server.ranges = True
        reindex_foreign([server.url("t.tar")], str(tmp_path / "new"), rule, ForeignDataset())
    with pytest.raises(NoRangesError, match="name the files"):
        reindex_foreign([server.url("")], str(tmp_path / "new"), rule, ForeignDataset())
