"""What a person can act on is a `ShardsError` of one line that names the file; all classes are."""

import errno
import importlib
import inspect
import io
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import cluster
import shards
from cluster.errors import ClusterError
from shards.audio.decoding import blocks
from shards.errors import MissingFileError, ShardsError, StoreError, explained
from shards.frames.reader import FrameFile, FrameSpec
from shards.frames.writer import FrameWriter
from shards.io.disk_cache import ClipCache
from shards.io.store import Store
from shards.loading.loader import Loading
from shards.loading.prefetch import Reading
from shards.soundscapes.recordings import RecordingError, recordings_from_csv
from shards.sources import SOURCES

SPEC = FrameSpec(kind="features", width=2, dtype="float32", hop_s=0.1)


@pytest.mark.parametrize(("package", "base"), [(shards, ShardsError), (cluster, ClusterError)])
def test_every_error_class_of_a_package_has_its_base(package: ModuleType, base: type) -> None:
    found = 0
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(kind, Exception) and kind.__module__ == module.name:
                found += 1
                assert issubclass(kind, base) or name == "_Unusable", f"{module.name}.{name}"
    assert found > 5


def one_line(action: Callable[[], Any], *names: object) -> ShardsError:
    with pytest.raises(ShardsError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for name in names:
        assert str(name) in message
    return caught.value


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    store, name = Store.local(tmp_path), tmp_path / "none"
    for action in (
        lambda: store.read("none"),
        lambda: store.open("none"),
        lambda: FrameFile.open(store, "none"),
        lambda: store.publish("x", name),
        lambda: next(blocks(name, "none", sample_rate_hz=8000, block_s=1.0)),
        lambda: FrameWriter(name / "x", SPEC),
    ):
        error = one_line(action, name)
        assert isinstance(error, MissingFileError)
        assert isinstance(error, FileNotFoundError)  # as callers expect


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "who may write"), (errno.EIO, "the disk")],
)
def test_what_a_disk_refuses_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    one_line(lambda: Store.local(tmp_path).write("a/b.txt", b"x"), tmp_path / "a/b.txt", advice)
    monkeypatch.setattr(Path, "mkdir", refuse)
    one_line(lambda: ClipCache(tmp_path / "cache", 100), tmp_path / "cache", advice)


def test_a_full_disk_while_frames_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    def add() -> None:
        with FrameWriter(tmp_path / "x.arrow", SPEC) as writer:
            monkeypatch.setattr(writer, "_spool", Full)
            writer.add("a", np.zeros((3, 2), np.float32))

    one_line(add, tmp_path / "x.arrow", "free some space")
    assert not (tmp_path / "x.arrow").exists()


class Broken:
    """A bucket that answers nothing."""

    def open_input_file(self, path: str) -> None:
        raise OSError("When reading: AWS Error NETWORK_CONNECTION: timeout was\nreached")

    open_output_stream = get_file_info = open_input_file


def test_a_bucket_that_times_out_names_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    store = Store(Broken(), "bucket/x")  # type: ignore[arg-type]
    for action in (
        lambda: store.read("a"),
        lambda: store.write("a", b""),
        lambda: store.size("a"),
        lambda: store.open("a"),
    ):
        one_line(action, "bucket/x/a: ", "timeout was reached", "check the network")


def test_an_open_file_that_breaks_names_itself(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(100))
    file = Store.local(tmp_path).open("x")
    (tmp_path / "x").write_bytes(bytes(10))
    file.seek(50)
    one_line(lambda: file.read(20), tmp_path / "x", "truncated")


@pytest.mark.parametrize("name", ["a\0b", "a\udcff", "../x", "/x"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    one_line(lambda: Store.local(tmp_path).read(name))


def test_secrets_of_urls_are_not_told() -> None:
    error = explained("https://me:SECRET@host/x.tar?token=SECRET", OSError("refused"))
    assert isinstance(error, StoreError)
    assert "SECRET" not in str(error)
    assert str(error).startswith("https://host/x.tar: refused")
    inner = OSError("https://host/x.tar: HTTP status 503")
    assert str(explained("https://host/x.tar?a", inner)).count("host") == 1


def test_settings_out_of_range() -> None:
    one_line(lambda: Reading(threads=0))
    one_line(lambda: FrameSpec(kind="features", width=0, dtype="float32", hop_s=0.1))
    assert Loading(per_batch={"strong": 1}).seed == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"filename,category\nx.wav,\xff\n", "no table in UTF-8"),
        (b'filename,category\nx.wav,"' + b"a" * 200_000, "field larger than"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "esc50.csv").write_bytes(data)
    with pytest.raises(RecordingError, match=rf"esc50\.csv.*: {reason}"):
        recordings_from_csv(Store.local(tmp_path), "esc50.csv", "")


def test_a_date_that_is_none_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"")
    name = "mixture_recipes_devtrain_babycry.yaml"
    (tmp_path / name).write_text("- mixture_audio_filename: 2020-13-45\n")
    one_line(lambda: SOURCES["tut_rare"](Store.local(tmp_path), {}), name)
