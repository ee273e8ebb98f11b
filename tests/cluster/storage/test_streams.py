"""Streams by WebDataset's readers: whole or an error, and no command that nobody allowed."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import HttpFiles, http_files

import cluster.storage.streams
from cluster.storage.streams import (
    SCHEMES,
    StreamError,
    copy_stream,
    expand_streams,
    is_stream,
    shown_stream,
    stream,
)
from cluster.storage.urls import StorageError

DATA = bytes(range(256)) * 20_000  # 5 MB
SECRET = "wJalrXUtnFEMI"  # noqa: S105

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs the program curl")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpFiles]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "x.tar").write_bytes(DATA)
    with http_files(tmp_path / "served") as running:
        yield running


def test_the_library_reads_all_schemes() -> None:
    from webdataset.gopen import gopen_schemes

    assert {*SCHEMES, "pipe"} <= gopen_schemes.keys()


def test_lists_are_read_as_webdataset_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WDS_HOST", "h")
    assert expand_streams("https://${HOST}/a-{08..10}.tar::hf://datasets/d/{x,y}.tar") == [
        "https://h/a-08.tar",
        "https://h/a-09.tar",
        "https://h/a-10.tar",
        "hf://datasets/d/x.tar",
        "hf://datasets/d/y.tar",
    ]


@needs_curl
def test_brackets_in_a_name_are_no_range_of_files(server: HttpFiles, tmp_path: Path) -> None:
    for name in ("y-1.tar", "y-2.tar", "y-[1-2].tar"):
        (tmp_path / "served" / name).write_bytes(name.encode())
    [url] = expand_streams(server.url("y-[1-2].tar"))
    assert b"".join(stream(url)) == b"y-[1-2].tar"
    address = "http://[1:2:3:4:5:6:7:8]:8000/a.tar"
    assert expand_streams(address) == [address]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("http://h/a.tar", True),
        ("HF://d/a.tar", True),
        ("pipe:cat a.tar", True),
        ("a.tar::pipe:cat a.tar", True),
        ("s3://b/a", False),
        ("gs://b/a", False),
        ("/folder/http", False),
        ("file:///a", False),
        ("here:there", False),
    ],
)
def test_what_is_a_stream(spec: str, expected: bool) -> None:
    assert is_stream(spec) is expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("pipe:cat a.tar", "--allow-pipe"),
        ("PIPE:cat a.tar", "--allow-pipe"),
        ("http://h/a.tar::pipe:cat a.tar", "--allow-pipe"),
        ("http://h/a.tar::/etc/passwd", "no stream, among others"),
        ("http://h/a.tar::s3://b/a.tar", "no stream, among others"),
        (f"http://ada:{SECRET}@h/a.tar", "leave them out"),
        ("http://h/${NOT_SET}.tar", "no list of shards"),
        ("http://h/{a,b.tar", "no list of shards"),
    ],
)
def test_lists_that_are_refused(spec: str, message: str) -> None:
    with pytest.raises(StorageError) as caught:
        expand_streams(spec)
    assert message in str(caught.value)
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)


def test_the_environment_makes_no_command_of_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPEN_REWRITE", f"http://h/=pipe:touch {tmp_path}/made #")
    [url] = expand_streams("http://127.0.0.1:9/a.tar")
    with pytest.raises(StreamError):
        copy_stream(url, tmp_path / "copy", iter(()))
    assert not (tmp_path / "made").exists()


@needs_curl
def test_a_url_is_no_text_of_a_shell(
    server: HttpFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a';touch made;'$(touch made).tar"
    (server.folder / name).write_bytes(DATA)
    [url] = expand_streams(server.url(name))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StreamError):  # curl takes no blanks in a URL
        copy_stream(url, tmp_path / "copy", iter((0.0, 0.0)))
    assert not (tmp_path / "made").exists()


@needs_curl
@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_is_read_once_and_whole(server: HttpFiles, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    copy_stream(server.url("x.tar"), tmp_path / "copy", iter((0.0, 0.0)))
    assert (tmp_path / "copy").read_bytes() == DATA
    assert server.requests == [("/x.tar", "")]


@needs_curl
def test_a_broken_stream_is_read_again_and_never_taken_for_whole(
    server: HttpFiles, tmp_path: Path
) -> None:
    server.cuts += [0, 3_000_000]
    copy_stream(server.url("x.tar"), tmp_path / "copy", iter((0.0, 0.0)))
    assert (tmp_path / "copy").read_bytes() == DATA
    server.cuts += [10, 10, 10]
    with pytest.raises(StreamError, match="may be cut short"):
        copy_stream(server.url("x.tar"), tmp_path / "copy", iter((0.0, 0.0)))
    assert not server.cuts


@needs_curl
def test_a_refused_file_is_asked_for_once(server: HttpFiles, tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="the server refuses it") as caught:
        copy_stream(server.url(f"y.tar?token={SECRET}"), tmp_path / "copy", iter((0.0, 0.0)))
    assert SECRET not in str(caught.value)
    assert len(server.requests) == 1


def test_commands(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(DATA)
    [url] = expand_streams(f"pipe:cat {tmp_path}/x.tar | cat", allow_pipe=True)
    assert b"".join(stream(url)) == DATA
    log = tmp_path / "log"
    failing = f"pipe:echo {SECRET} >> {log}; cat {tmp_path}/x.tar; exit 18"
    with pytest.raises(StreamError, match="the command ended with status 18") as caught:
        copy_stream(failing, tmp_path / "copy", iter((0.0, 0.0)))
    assert SECRET not in str(caught.value) and "\n" not in str(caught.value)
    assert log.read_text().count(SECRET) == 1  # it ran once
    with pytest.raises(StorageError, match="and a command"):
        expand_streams("pipe: ", allow_pipe=True)
    assert shown_stream(f"pipe:curl -u {SECRET} x") == "pipe:curl ..."


def test_who_stops_reading_early_leaves_no_process(tmp_path: Path) -> None:
    opened = stream(f"pipe:echo $$ > {tmp_path}/pid; exec cat /dev/zero")
    assert next(opened) == bytes(cluster.storage.streams.BLOCK_BYTES)
    opened.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_absent_programs_and_packages_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StreamError, match="needs the program curl"):
        next(stream("http://h/a.tar"))
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(StreamError, match="needs the package huggingface_hub"):
        next(stream("hf://datasets/d/a.tar"))
