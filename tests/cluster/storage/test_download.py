"""Downloads: resumed, checked and cached, from servers that misbehave in every usual way."""

import hashlib
import multiprocessing
import os
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from s3_server import s3_server

from cluster.storage import download
from cluster.storage.download import FetchError, cache_folder
from shards.io.atomic import give_name

ROOT = Path(__file__).resolve().parents[3]
DATA = bytes(range(256)) * 12_000  # 3 MB
DIGEST = hashlib.sha256(DATA).hexdigest()

fetch = partial(download.fetch, waits=partial(iter, (0.0, 0.0, 0.0)), give_name=give_name)


class Server(ThreadingHTTPServer):
    """Serves `data` under any path, as badly as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.etag = DATA, '"v1"'
        self.status = 0  # answered `errors` times instead
        self.errors = 0
        self.drops: list[int] = []  # after how many bytes of a body the next ones break
        self.ranges, self.range_status = True, 206
        self.requests: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/models/mn04.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        server.requests.append(dict(self.headers))
        if server.errors:
            server.errors -= 1
            self.send_error(server.status)
            return
        start = 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", server.etag) == server.etag
        if server.ranges and asked and same:
            start = int(asked[1])
            if start >= len(server.data):
                self.send_error(416)
                return
            self.send_response(server.range_status)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(server.data) - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        body = server.data[start:]
        self.wfile.write(body[: server.drops.pop(0)] if server.drops else body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def starts(server: Server) -> list[str]:
    return [headers.get("Range", "whole") for headers in server.requests]


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetch(server.url, sha256=DIGEST, folder=tmp_path, progress=lambda *now: seen.append(now))
    assert path.read_bytes() == DATA
    assert path.name == f"{DIGEST[:12]}-mn04.pt"
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path) == path
    assert len(server.requests) == 1
    path.write_bytes(b"spoilt on disk")
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA


def test_a_dropped_connection_goes_on_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.drops = [1_000_000, 500_000]
    path = fetch(server.url, sha256=DIGEST, folder=tmp_path)
    assert path.read_bytes() == DATA
    assert starts(server) == ["whole", "bytes=1000000-", "bytes=1500000-"]
    assert [headers.get("If-Range") for headers in server.requests] == [None, '"v1"', '"v1"']


def test_tries_count_only_while_nothing_comes(server: Server, tmp_path: Path) -> None:
    server.drops = [100] * 20
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA
    server.drops = [0] * 20
    with pytest.raises(FetchError, match="got 0 of 3072000 bytes, 4 times; check the network"):
        fetch(server.url, folder=tmp_path)
    assert len(server.drops) == 16


def test_content_range_counts_not_the_status(server: Server, tmp_path: Path) -> None:
    server.drops, server.range_status = [1_000_000], 200
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA
    assert len(server.requests) == 2


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.drops, server.ranges = [1_000_000, 2_000_000], False
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("etag", ['"v2"', ""])
def test_a_file_that_changes_meanwhile_is_not_mixed(
    server: Server, tmp_path: Path, etag: str
) -> None:
    """Without a sha256 nothing but the ETag tells; without an ETag it starts again."""
    server.drops, new = [1_000_000], DATA[::-1]
    if not etag:
        server.etag = ""

    def progress(done: int, _: int | None) -> None:
        if done <= 1_000_000:
            server.data, server.etag = new, etag

    assert fetch(server.url, folder=tmp_path, progress=progress).read_bytes() == new


def test_a_later_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.drops = [1_000_000, 0, 0, 0]
    with pytest.raises(FetchError, match="4 times"):
        fetch(server.url, sha256=DIGEST, folder=tmp_path)
    server.requests.clear()
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA
    assert starts(server) == ["bytes=1000000-"]


@pytest.mark.parametrize("left", [b"of another version" * 1000, DATA, DATA + b"more"])
def test_what_an_earlier_call_left_may_be_of_any_kind(
    server: Server, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / f"{DIGEST[:12]}-mn04.pt.partial").write_bytes(left)
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA


def test_without_a_sha256_nothing_old_is_trusted(server: Server, tmp_path: Path) -> None:
    assert fetch(server.url, folder=tmp_path).read_bytes() == DATA
    server.data = b"new"
    assert fetch(server.url, folder=tmp_path).read_bytes() == b"new"


def test_wrong_bytes_are_not_kept(server: Server, tmp_path: Path) -> None:
    server.data = b"something else"
    with pytest.raises(FetchError) as caught:
        fetch(server.url, sha256=DIGEST, folder=tmp_path)
    message = one_line(caught.value)
    assert f"got sha256 {hashlib.sha256(server.data).hexdigest()}, expected {DIGEST}" in message
    assert "correct the sha256" in message
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("status", [404, 403, 410])
def test_what_is_not_there_is_not_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    server.status, server.errors = status, 9
    with pytest.raises(FetchError, match=f"mn04.pt: HTTP status {status} .*; check the address"):
        fetch(server.url, sha256=DIGEST, folder=tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_tried_again(server: Server, tmp_path: Path, status: int) -> None:
    server.status, server.errors = status, 3
    assert fetch(server.url, sha256=DIGEST, folder=tmp_path).read_bytes() == DATA
    assert len(server.requests) == 4
    server.errors = 4
    with pytest.raises(FetchError, match=f"HTTP status {status} .*, 4 times"):
        fetch(server.url, folder=tmp_path)


@pytest.mark.usefixtures("server")
def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch("http://127.0.0.1:1/a.pt?token=SECRET", sha256=DIGEST, folder=tmp_path)
    message = one_line(caught.value)
    assert message.startswith("http://127.0.0.1:1/a.pt: Connection refused, 4 times; check")
    assert "SECRET" not in message


def test_a_disk_that_takes_no_more(server: Server, tmp_path: Path) -> None:
    script = (
        "import sys; from cluster.storage.download import fetch, FetchError\n"
        "try: fetch(sys.argv[1], waits=lambda: iter(()), give_name=print)\n"
        "except FetchError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, server.url],
        cwd=ROOT,
        env={**os.environ, "PMAM_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
        check=True,
    )
    assert done.stdout.strip() == (
        f"{tmp_path}: File too large; free some space there, check who may write there, "
        "or set PMAM_CACHE to another folder"
    )
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0


def test_a_cache_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FetchError, match="set PMAM_CACHE to another folder"):
        fetch(server.url, folder=tmp_path / "file" / "cache")


def test_processes_fetch_one_file_together(server: Server, tmp_path: Path) -> None:
    server.drops = [1_000_000]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        jobs = [
            pool.apply_async(fetch, (server.url,), {"sha256": DIGEST, "folder": tmp_path})
            for _ in range(4)
        ]
        paths = {job.get(timeout=60) for job in jobs}
    [path] = paths
    assert path.read_bytes() == DATA
    assert len(server.requests) == 2


def test_local_files_stay_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a b.pt"
    file.write_bytes(DATA)
    assert fetch(str(file), sha256=DIGEST) == fetch(file.as_uri()) == file
    with pytest.raises(FetchError, match="expected 0000; check that it is the right file"):
        fetch(str(file), sha256="0000")
    with pytest.raises(FetchError, match="none: no such file; check the path"):
        fetch(str(tmp_path / "none"))


def test_objects_are_fetched_too(server: Server, tmp_path: Path) -> None:
    with s3_server(tmp_path) as s3:
        s3.file("w.pt").write_bytes(DATA)
        cache = tmp_path / "cache"
        cache.mkdir()
        (cache / f"{DIGEST[:12]}-w.pt.partial").write_bytes(DATA[:100])
        assert fetch(s3.url("w.pt"), sha256=DIGEST, folder=cache).read_bytes() == DATA
        with pytest.raises(FetchError, match=r"s3://bucket/none: no such file; check the address"):
            fetch(s3.url("none"), folder=cache)


def test_the_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PMAM_CACHE", raising=False)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder() == Path("/home/ada/.cache/pmam")
    monkeypatch.setenv("PMAM_CACHE", "/data/cache")
    assert cache_folder() == Path("/data/cache")
