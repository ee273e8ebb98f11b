"""Packing and indexing foreign shards at URLs: read once, by range, or refused."""

import gzip
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from foreign_cases import sound, write_tar
from http_server import HttpFiles, http_files

from cluster.http import NoRangesError
from cluster.storage import StorageError
from pipelines.cli import main
from pipelines.jobs import PartError
from pipelines.pack import PackSettings, pack
from pipelines.reindex_foreign import ForeignDataset, reindex_foreign
from pipelines.run_settings import RunSettings
from pipelines.source import prepare
from pipelines.urls import open_dataset
from shards.foreign import ForeignSettings
from shards.manifest import MANIFEST, DatasetError
from shards.sources import SourceError

SETTINGS = PackSettings(source="webdataset", options={"labels": "cls", "classes": "cat,dog"})
LIST = "s-{000..001}.tar"
pytestmark = pytest.mark.usefixtures("ray_session")
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
@pytest.mark.parametrize("ranges", [True, False])
def test_shards_are_fetched_once_packed_and_not_kept(
    server: HttpFiles, tmp_path: Path, ranges: bool
) -> None:
    server.ranges = ranges
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:  # by its bytes, not its name
        file.write((server.folder / "s-001.tar").read_bytes())
    (server.folder / "s-001.tar").write_bytes(packed.getvalue())
    out = pack(server.url(LIST), str(tmp_path / "out"), SETTINGS)
    check(out)
    assert [server.whole(f"s-00{n}.tar") for n in (0, 1)] == [1, 1]
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.is_dir()) == [
        "index",
        "parts",
        "shards",
    ]
    (server.folder / "s-001.tar").rename(server.folder / "s-001.tgz")
    local = pack(str(server.folder), str(tmp_path / "local"), SETTINGS)
    shards = [sorted((Path(place) / "shards").iterdir()) for place in (out, local)]
    assert [p.read_bytes() for p in shards[0]] == [p.read_bytes() for p in shards[1]]


@needs_curl
def test_what_was_fetched_before_an_error_is_not_fetched_again(
    server: HttpFiles, tmp_path: Path
) -> None:
    whole = server.folder / "s-001.tar"
    away = whole.rename(server.folder / "away")
    with pytest.raises(PartError, match="the server refuses it") as caught:
        pack(server.url(LIST), str(tmp_path / "out"), SETTINGS, inputs={"source": "x"})
    assert "s-001.tar" in str(caught.value)
    away.rename(whole)
    check(pack(server.url(LIST), str(tmp_path / "out"), SETTINGS, inputs={"source": "x"}))
    assert server.whole("s-000.tar") == 1


def test_wrong_options_are_found_before_anything_is_fetched(
    server: HttpFiles, tmp_path: Path
) -> None:
    wrong = replace(SETTINGS, options={"audoi": "flac"})
    with pytest.raises(SourceError, match="did you mean 'audio'"):
        pack(server.url(LIST), str(tmp_path / "out"), wrong)
    with pytest.raises(StorageError, match="only --source webdataset reads it"):
        pack(server.url(LIST), str(tmp_path / "out"), PackSettings())
    assert not server.requests and not (tmp_path / "out").exists()


def test_a_cut_stream_is_an_error(server: HttpFiles, tmp_path: Path) -> None:
    cut = f"pipe:head -c 3000 {server.folder}/s-000.tar"
    with pytest.raises(ValueError, match="truncated"):
        pack(cut, str(tmp_path / "out"), SETTINGS, allow_pipe=True)


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
        prepare(settings, lambda stage: str(tmp_path / stage))
    assert not made.exists()


def test_commands_are_not_indexed_nor_read_from_a_manifest(
    server: HttpFiles, tmp_path: Path
) -> None:
    made = tmp_path / "made"
    command = f"pipe:touch {made}; cat {server.folder}/s-000.tar"
    foreign = (ForeignSettings(), ForeignDataset())
    with pytest.raises(StorageError, match="is refused here"):
        reindex_foreign([command], str(tmp_path / "no"), *foreign)
    out = reindex_foreign([str(server.folder)], str(tmp_path / "out"), *foreign)
    manifest = Path(out) / MANIFEST
    held = json.loads(manifest.read_text())
    held["shards"][0]["url"] = command
    manifest.write_text(json.dumps(held))
    dataset = open_dataset(out)
    with pytest.raises(DatasetError, match="which a manifest may not name"):
        dataset.read(dataset.rows[0])
    assert not made.exists()


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
