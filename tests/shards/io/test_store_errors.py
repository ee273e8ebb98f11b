"""A store that fails: what is tried again, and errors that say what to do."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from shards.errors import StoreError
from shards.io.store import Store

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shards.io.retry.waits", lambda: iter((0.0, 0.0, 0.0)))


class Flaky:
    """A filesystem whose calls fail so many times before they work."""

    def __init__(self, real: pafs.FileSystem, failures: int, message: str) -> None:
        self.real, self.failures, self.message = real, failures, message
        self.calls = 0

    def __getattr__(self, name: str) -> object:
        def call(*args: object, **kwargs: object) -> object:
            self.calls += 1
            if self.calls <= self.failures:
                raise OSError(self.message)
            return getattr(self.real, name)(*args, **kwargs)

        return call


SLOW_DOWN = "AWS Error SLOW_DOWN during PutObject operation:\n please reduce your rate"


@pytest.mark.usefixtures("no_waits")
def test_passing_errors_of_an_object_store_are_tried_again(tmp_path: Path) -> None:
    Store.local(tmp_path).write("a", b"data")
    Store.local(tmp_path).write("old", b"data")
    for work in (
        lambda store: store.read("a") == b"data",
        lambda store: store.write("b", b"new") is None,
        lambda store: "a" in store.names(),
        lambda store: store.size("a") == 4,
        lambda store: store.delete("old") is None,
    ):
        flaky = Flaky(pafs.LocalFileSystem(), 3, SLOW_DOWN)
        assert work(Store(flaky, str(tmp_path)))
    assert (tmp_path / "b").read_bytes() == b"new"
    assert not (tmp_path / "old").exists()
    flaky = Flaky(pafs.LocalFileSystem(), 4, SLOW_DOWN)
    with pytest.raises(StoreError) as caught:
        Store(flaky, str(tmp_path)).write("c", b"")
    assert flaky.calls == 4
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/c: AWS Error SLOW_DOWN")
    assert "4 times; check the network" in message
    assert "\n" not in message


def test_it_waits_before_each_further_try(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(StoreError):
        Store(Flaky(pafs.LocalFileSystem(), 9, SLOW_DOWN), str(tmp_path)).read("x")
    assert len(waits) == 9
    assert waits[0] < 0.4 < 5 < waits[-1]


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("AWS Error ACCESS_DENIED during HeadObject", "check the credentials"),
        ("AWS Error UNKNOWN (HTTP status 400): ExpiredToken: it has expired", "have expired"),
        # of a token that has expired, asked what an object is
        (
            "AWS Error UNKNOWN (HTTP status 400): No response body.",
            "token that has expired",
        ),
        ("HTTP status 403 (Forbidden)", "check the credentials"),
        ("AWS Error INVALID_ACCESS_KEY_ID during GetObject", "check the credentials"),
        ("AWS Error NO_SUCH_BUCKET during PutObject", "create the bucket"),
    ],
)
def test_errors_that_no_retry_mends_come_at_once(tmp_path: Path, message: str, advice: str) -> None:
    flaky = Flaky(pafs.LocalFileSystem(), 9, message)
    with pytest.raises(StoreError, match=advice):
        Store(flaky, str(tmp_path)).write("x", b"")
    assert flaky.calls == 1


def limited(body: str, folder: Path) -> str:
    """What a process says that may write files of 64 KiB at most."""
    script = f"import sys; from shards.io.store import Store\n{body}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
        check=True,
    )
    return done.stdout.strip()


def test_a_disk_that_takes_no_more(tmp_path: Path) -> None:
    said = limited(
        """
store = Store.local(sys.argv[1])
store.write("old.json", b"old")
try:
    store.write("old.json", bytes(1 << 20))
except OSError as error:
    print(error)
""",
        tmp_path,
    )
    assert said == (
        f"{tmp_path}/old.json: File too large; free some space there, or choose another folder"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to mount")
def test_a_full_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        store = Store.local(disk)
        with pytest.raises(StoreError, match="a: No space left on device; free some space"):
            store.write("a", bytes(1 << 20))
        (tmp_path / "shard.tar").write_bytes(bytes(1 << 20))
        with pytest.raises(StoreError, match=r"0\.tar: No space left on device"):
            store.publish("shards/0.tar", tmp_path / "shard.tar")
        assert (tmp_path / "shard.tar").exists()
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        store.write("a", b"fits")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "somewhere")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StoreError, match="x/a: Permission denied; check who may write there"):
        Store.local(tmp_path / "x").write("a", b"")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    with pytest.raises(StoreError, match=r"x/a: (File exists|Not a directory); check the path"):
        Store.local(tmp_path / "x").write("a", b"")
