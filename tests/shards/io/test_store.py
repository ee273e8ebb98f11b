"""The store: whole files or none, on a disk and on a real S3 server."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from packing import noise_clips, pack
from s3_server import S3Server, s3_server

from cluster.storage.filesystems import filesystem
from shards.dataset import Dataset
from shards.errors import StoreError
from shards.io.atomic import TEMPORARY
from shards.io.store import Store
from shards.manifest import write_dataset
from shards.repair.verification import verify

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store.local(tmp_path / "store")
    server = request.getfixturevalue("server")
    return Store(*filesystem(server.url(tmp_path.name)))


def published(store: Store, name: str, data: bytes, tmp_path: Path) -> str:
    file = tmp_path / "finished"
    file.write_bytes(data)
    stored = store.publish(name, file)
    assert not file.exists()
    return stored


def test_files_come_back_as_written(store: Store, tmp_path: Path) -> None:
    big = os.urandom(11 << 20)  # more than one part of an upload
    assert store.listing() == []
    assert store.size("a/b.json") is None
    store.write("a/b.json", b"first")
    store.write("a/b.json", b"second, longer")
    store.write("empty", b"")
    name = published(store, "big/x.y.bin", big, tmp_path)
    assert store.listing() == sorted([("a/b.json", 14), ("empty", 0), (name, len(big))])
    assert store.names("a") == store.child("").names("a") == ["a/b.json"]
    assert store.child("a").names() == ["b.json"]
    assert store.read("a/b.json") == b"second, longer"
    assert store.read("a/b.json", 8, 6) == b"longer"
    assert store.read("empty") == b""
    assert store.read(name) == big
    with store.open(name) as file:
        file.seek(5 << 20)
        assert file.read(9) == big[5 << 20 : (5 << 20) + 9]


def test_any_name_of_a_file_works(store: Store) -> None:
    names = ["Straße 1/ä+b=c&d@e,~x.wav", "sp ace/100% 'q' (1)!*.json", "#1;2:3$.flac"]
    for name in names:
        store.write(name, name.encode())
    assert store.names() == sorted(names)
    for name in names:
        assert store.read(name) == name.encode()
        store.delete(name)
    assert store.names() == []


def test_a_delete_removes_one_file_and_hides_no_other(store: Store) -> None:
    for name in ("ds/shards/0", "ds/shards/1", "ds/shards/2", "ds/stage.json"):
        store.write(name, b"x")
    store.delete("ds/shards/1")
    store.delete("ds/shards/1")
    store.delete("never/was")
    assert store.names() == ["ds/shards/0", "ds/shards/2", "ds/stage.json"]
    assert store.size("ds/shards/0") == 1
    store.delete("ds/shards/0")
    store.delete("ds/shards/2")  # the last of its folder
    store.delete("ds/stage.json")
    assert store.names() == []
    store.write("ds/shards/0", b"again")
    assert store.listing() == [("ds/shards/0", 5)]


def test_clear_removes_everything_below_the_root_alone(store: Store) -> None:
    for name in ("kept", "run/plan.json", "run/shards/a", "run/shards/b", "run/x/y/z"):
        store.write(name, b"x")
    store.child("run").clear()
    store.child("none").clear()
    assert store.names() == ["kept"]
    store.write("run/shards/a", b"new")
    assert store.names() == ["kept", "run/shards/a"]


def test_clear_removes_what_killed_writers_left(tmp_path: Path) -> None:
    left = tmp_path / "run/shards" / f"{TEMPORARY}0123456789ab-00000.tar"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    store = Store.local(tmp_path / "run")
    assert store.names() == []
    store.clear()
    assert list((tmp_path / "run").rglob("*")) == []


def test_the_same_bytes_get_the_same_name(store: Store, tmp_path: Path) -> None:
    one = published(store, "state/7.bin", b"one", tmp_path)
    assert published(store, "state/7.bin", b"one", tmp_path) == one
    assert store.names() == [one]
    two = published(store, "state/7.bin", b"two", tmp_path)
    assert store.read(two) == b"two"
    if store.is_local:
        assert one == two == "state/7.bin"
    else:
        assert one == "state/7-7692c3ad3540.bin"  # sha256sum of "one"
        assert store.read(one) == b"one"


def test_what_a_broken_upload_left_is_written_anew(server: S3Server, tmp_path: Path) -> None:
    store = Store(*filesystem(server.url("broken")))
    name = published(store, "a.bin", b"whole" * 100, tmp_path)
    store.write(name, b"whole" * 50)
    assert published(store, "a.bin", b"whole" * 100, tmp_path) == name
    assert store.read(name) == b"whole" * 100


def test_packing_twice_to_s3_gives_the_same_objects(server: S3Server, tmp_path: Path) -> None:
    clips = noise_clips(tmp_path / "in", 8)
    local, shards_ = pack(tmp_path / "in", clips, tmp_path / "local")
    listings = []
    for run in ("one", "two", "two"):  # the last one finds all of it there
        store = Store(*filesystem(server.url(f"packed/{run}")))
        written = []
        for shard in shards_:
            copy = tmp_path / "copy.tar"
            copy.write_bytes(local.store.read(shard.name))
            written.append(shard.stored_as(store.publish(shard.name, copy)))
        write_dataset(
            store,
            [row for shard in written for row in shard.rows],
            name="noise",
            licence="CC0",
            classes=["noise"],
            shards=[shard.entry for shard in written],
        )
        listings.append({name: store.read(name) for name in store.names()})
        assert verify(store).problems == ()
        dataset = Dataset.open(store)
        assert [dataset.read(row) for row in dataset.rows] == [
            local.read(row) for row in local.rows
        ]
    assert listings[0] == listings[1] == listings[2]


def test_an_older_index_is_removed(store: Store, tmp_path: Path) -> None:
    dataset, shards_ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 4), tmp_path / "packed")
    for shard in shards_:
        store.write(shard.name, dataset.store.read(shard.name))
    for chosen in (shards_[:1], shards_):
        write_dataset(
            store,
            [row for shard in chosen for row in shard.rows],
            name="noise",
            licence="CC0",
            classes=["noise"],
            shards=[shard.entry for shard in chosen],
        )
    assert store.names("index") == [Dataset.open(store).manifest.index.name]


@pytest.mark.parametrize("below", ["", "a"])
def test_names_under_the_root_of_a_filesystem(tmp_path: Path, below: str) -> None:
    Store.local(tmp_path).write("a/b.json", b"x")
    tree = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert Store(tree, "/").names(below) == ["a/b.json"]
    assert Store(tree, "a").names() == ["b.json"]
    slash = Store(pafs.LocalFileSystem(), "/")
    assert slash.names(str(tmp_path).lstrip("/")) == [f"{tmp_path}/a/b.json".lstrip("/")]


def test_names_stay_inside_the_root(store: Store) -> None:
    for name in ("../x", "a/../../x", "/etc/passwd"):
        with pytest.raises(ValueError, match="expected a name inside"):
            store.write(name, b"")


def test_missing_and_truncated_files(store: Store) -> None:
    store.write("short", b"12345")
    with pytest.raises(FileNotFoundError, match=r"^[^\n]*/none: no such file; check the path$"):
        store.read("none")
    with pytest.raises(FileNotFoundError, match="/none: no such file"):
        store.open("none")
    with pytest.raises(StoreError, match="short: got 2 of 9 bytes at offset 3; the file is trunc"):
        store.read("short", 3, 9)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_an_upload_that_is_stopped_half_way_publishes_nothing(
    server: S3Server, tmp_path: Path, stop: signal.Signals
) -> None:
    """pyarrow publishes what it has when an exception leaves the stream's `with`."""
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from cluster.storage.filesystems import filesystem
        from shards.io.store import Store
        store = Store(*filesystem(sys.argv[1]))
        Path(sys.argv[2]).write_bytes(bytes(160 << 20))
        print("ready", flush=True)
        store.publish("a.bin", Path(sys.argv[2]))
        """
    )
    url = server.url(f"stopped-{stop}")
    child = subprocess.Popen(
        [sys.executable, "-c", script, url, str(tmp_path / "big")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(0.4)  # hashing takes 0.1 s, the upload a second or more
        child.send_signal(stop)
    sizes = [size for name, size in Store(*filesystem(url)).listing() if name.startswith("a-")]
    assert sizes in ([], [160 << 20])


def test_a_store_is_not_pickled(server: S3Server, tmp_path: Path) -> None:
    for store in (Store.local(tmp_path), Store(*filesystem(server.url("x")))):
        with pytest.raises(TypeError, match="send its URL") as caught:
            pickle.dumps(store)
        assert server.secret not in str(caught.value)
        assert server.secret not in repr(vars(store))


def test_names_that_are_not_utf8_are_told_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.wav", "sub/a.wav", ".part-x-c.wav"):
        (tmp_path / name).write_bytes(b"123")
    for name in (b"caf\xe9.wav", b"sub/\xff\xfe.wav"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as file:  # noqa: PTH118, PTH123
            file.write(b"1")
    store = Store.local(tmp_path)
    with pytest.raises(StoreError, match=r"2 names are not UTF-8: caf\\xe9\.wav; sub/\\xff\\xfe"):
        store.names()
    lenient, odd = store.without_odd_names()
    assert odd == ["caf\\xe9.wav", "sub/\\xff\\xfe.wav"]
    assert lenient.listing() == [("b.wav", 3), ("sub/a.wav", 3)]
    assert lenient.listing("sub") == [("sub/a.wav", 3)]
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain/x").write_bytes(b"")
    assert store.names("plain") == ["plain/x"]
