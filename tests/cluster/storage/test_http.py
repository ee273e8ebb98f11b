"""Files by byte range from servers of http, good and bad."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from http_server import HttpFiles, http_files

import shards.io.store
from cluster.storage.filesystems import filesystem
from cluster.storage.http import NoRangesError, remote_file
from shards.errors import StoreError
from shards.io.range_reader import RangeReader
from shards.io.store import Store

DATA = bytes(range(256)) * 4000


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpFiles]:
    monkeypatch.setattr(shards.io.store, "WAITS_S", (0.0, 0.0, 0.0))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.tar").write_bytes(DATA)
    with http_files(tmp_path) as running:
        yield running


def at(server: HttpFiles) -> Store:
    return Store(*filesystem(server.url("a/")))


def test_a_range_is_one_request_of_these_bytes(server: HttpFiles) -> None:
    store = at(server)
    assert store.size("x.tar") == len(DATA)
    assert store.read("x.tar") == DATA
    server.requests.clear()
    assert store.read("x.tar", 1000, 70) == DATA[1000:1070]
    assert [asked for _, asked in server.requests] == ["bytes=0-0", "bytes=1000-1069"]
    assert RangeReader(store).read("x.tar", 5, 900_000) == DATA[5:900_005]
    with store.open("x.tar") as file:
        assert file.size() == len(DATA)
        file.seek(300)
        assert file.read(3) == DATA[300:303]
        file.seek(256_000)
        assert file.read(4) == DATA[256_000:256_004]
    assert not server.whole("a/x.tar")


def test_what_is_not_there_and_what_is_empty(server: HttpFiles) -> None:
    (server.folder / "a" / "none.tar").write_bytes(b"")
    store = at(server)
    assert store.size("y.tar") is None
    with pytest.raises(FileNotFoundError, match="no such file; check the path"):
        store.read("y.tar")
    assert store.size("none.tar") == 0 and store.read("none.tar") == b""


def test_a_server_without_ranges_is_refused_before_it_sends_the_file(server: HttpFiles) -> None:
    server.ranges = False
    with pytest.raises(NoRangesError, match="answers no byte ranges") as caught:
        at(server).read("x.tar", 10, 5)
    assert "\n" not in str(caught.value) and len(server.requests) == 1
    with pytest.raises(NoRangesError):
        remote_file(server.url("a/x.tar"))


def test_errors_that_may_pass_are_tried_again(server: HttpFiles) -> None:
    store = at(server)
    server.failures += [503, 500]
    assert store.read("x.tar", 10, 5) == DATA[10:15]
    server.cuts += [1, 100]  # the first byte, then a body that breaks
    assert store.read("x.tar", 0, 5000) == DATA[:5000]
    server.failures += [503] * 4
    with pytest.raises(StoreError, match=r"HTTP status 503 .*, 4 times; check the network"):
        store.read("x.tar", 10, 5)
    server.failures += [403]
    with pytest.raises(OSError, match="HTTP status 403"):
        store.read("x.tar", 10, 5)
    assert not server.failures


def test_a_file_that_changes_while_it_is_read_is_an_error(server: HttpFiles) -> None:
    with at(server).open("x.tar") as file:
        assert file.read(4) == DATA[:4]
        (server.folder / "a" / "x.tar").write_bytes(DATA[::-1])
        with pytest.raises(OSError, match="changed while it was read"):
            file.read(4)


def test_nothing_is_listed_or_written(server: HttpFiles) -> None:
    store = at(server)
    with pytest.raises(NoRangesError, match="name the files"):
        store.names()
    for change in (lambda: store.write("x.tar", b""), lambda: store.delete("x.tar")):
        with pytest.raises(OSError, match="read only"):
            change()
    assert (server.folder / "a" / "x.tar").read_bytes() == DATA
    assert isinstance(store.filesystem, pafs.PyFileSystem)
