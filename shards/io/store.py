"""A folder at any `pyarrow.fs` filesystem, where nothing half-written is taken for whole."""

import contextlib
import hashlib
import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NoReturn, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs

from shards.errors import (
    SettingsError,
    StoreError,
    explained,
    naming,
    needs_a_person,
    shown_path,
    told,
)
from shards.io import local_names, retry
from shards.io.atomic import TEMPORARY, write_whole
from shards.io.range_file import RangeFile
from shards.io.range_reader import RangeReader

COPY_BYTES = 1 << 20
DELETERS = 16  # requests at a time

T = TypeVar("T")


class Store:
    """Reads and writes names under one root.

    On a local disk a file appears under its name by rename, after fsync. An object store has
    no rename, and pyarrow has no abort: it publishes what it has when a stream is dropped. So
    all bytes are there before a stream opens, and are handed over in one call: an object is
    whole, or the upload failed and there is none. Requests to an object store are tried
    again for as long as `shards.io.retry` says, unless waiting cannot help.

    It cannot be pickled, since its filesystem may hold credentials: send the URL instead, and
    build the store where it is used.
    """

    def __init__(self, filesystem: pafs.FileSystem, root: str) -> None:
        self.filesystem = filesystem
        self.root = root.rstrip("/") or "/"
        self.is_local = isinstance(filesystem, pafs.LocalFileSystem)
        self.leaves_odd_names = False  # of files; else a listing with such a name is an error
        self.left_out = frozenset[str]()  # names that no list holds

    @classmethod
    def local(cls, folder: Path | str) -> "Store":
        """A store on the local disk."""
        return cls(pafs.LocalFileSystem(), str(Path(folder).absolute()))

    @classmethod
    def at(cls, place: Path | str) -> "Store":
        """A store at a local folder, or at a URL that pyarrow knows, such as `s3://bucket/folder`.

        Credentials, region and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
        `AWS_ENDPOINT_URL` and so on).

        Raises:
            StoreError: no URL that can be opened.
        """
        if "://" not in str(place):
            return cls.local(Path(place).expanduser())
        try:
            return cls(*pafs.FileSystem.from_uri(str(place)))
        except (pa.ArrowException, OSError, ValueError) as error:
            shown = shown_path(str(place))
            reason = " ".join(str(error).split()).replace(str(place), shown)
            raise StoreError(f"{shown}: no folder that can be opened ({reason})") from error

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the store of {self.root} cannot be pickled: it may hold credentials; "
            "send its URL and build the store where it is used"
        )

    def path(self, name: str) -> str:
        """The filesystem's path of a name; names never leave the root."""
        parts = PurePosixPath(name).parts
        if ".." in parts or name.startswith("/"):
            raise SettingsError(
                f"{name!r}: expected a name inside {self.root}, without '..' or a leading '/'"
            )
        return f"{self.root.rstrip('/')}/{name}" if name else self.root

    def child(self, name: str) -> "Store":
        """The store of a sub-folder."""
        return Store(self.filesystem, self.path(name))

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where there is no such file."""
        path = self.path(name)
        info = self.attempt(path, lambda: self.filesystem.get_file_info(path))
        return int(info.size) if info.type == pafs.FileType.File else None

    def kind(self, name: str = "") -> pafs.FileType:
        """What there is under a name: a file, a folder or nothing; by default of the root."""
        path = self.path(name)
        return self.attempt(path, lambda: self.filesystem.get_file_info(path)).type

    def mtime_ns(self, name: str) -> int | None:
        """When a file was last changed, in nanoseconds; None where there is no such file."""
        path = self.path(name)
        mtime_ns = self.attempt(path, lambda: self.filesystem.get_file_info(path)).mtime_ns
        return None if mtime_ns is None else int(mtime_ns)

    def names(self, below: str = "") -> list[str]:
        """All whole files under a sub-folder, sorted, relative to the root."""
        return [name for name, _ in self.listing(below)]

    def listing(self, below: str = "") -> list[tuple[str, int]]:
        """`(name, bytes)` of all whole files under a sub-folder, sorted.

        Names that are not UTF-8 cannot be asked for: they are an error that names them, or are
        left out by a store `without_odd_names`.
        """
        selector = pafs.FileSelector(self.path(below), recursive=True, allow_not_found=True)
        infos = self.attempt(self.path(below), lambda: self.filesystem.get_file_info(selector))
        try:
            return self._named(infos)
        except UnicodeDecodeError as error:
            plain, odd = local_names.by_encoding(self.path(below))
            if self.leaves_odd_names:
                prefix = f"{below.strip('/')}/" if below.strip("/") else ""
                kept = [(f"{prefix}{name}", size) for name, size in plain]
                return [
                    each
                    for each in kept
                    if not _is_temporary(each[0]) and each[0] not in self.left_out
                ]
            raise StoreError(
                f"{self.path(below)}: {len(odd)} names are not UTF-8: {told(odd)}; rename them, or "
                "leave them out by --on-error skip where a command has it"
            ) from error

    def without_odd_names(self) -> "tuple[Store, list[str]]":
        """This store with names that are not UTF-8 left out of its lists, and what they are."""
        lenient = Store(self.filesystem, self.root)
        lenient.leaves_odd_names = True
        odd = local_names.by_encoding(self.root)[1] if self.is_local else []
        return lenient, odd

    def dangling_links(self) -> list[tuple[str, str]]:
        """Links that lead nowhere, which no list holds: their names, and where each should lead."""
        return local_names.dangling_links(self.root) if self.is_local else []

    def _named(self, infos: list[pafs.FileInfo]) -> list[tuple[str, int]]:
        root = self.root.strip("/")  # some filesystems leave the first slash of paths out
        skip = len(root) + 1 if root else 0
        return sorted(
            (name, int(info.size))
            for info in infos
            if info.type == pafs.FileType.File
            and not _is_temporary(info.base_name)
            and (name := info.path.lstrip("/")[skip:]) not in self.left_out
        )

    def read(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        """The bytes `[offset, offset + size)` of a file; fewer than asked is an `OSError`."""
        path = self.path(name)

        def read() -> bytes:
            with self.filesystem.open_input_file(path) as file:
                wanted = file.size() - offset if size is None else size
                data = bytes(file.read_at(wanted, offset))
            if len(data) != wanted:
                raise StoreError(
                    f"{path}: got {len(data)} of {wanted} bytes at offset {offset}; "
                    "the file is truncated: restore it or pack it again"
                )
            return data

        return self.attempt(path, read)

    def open(self, name: str) -> RangeFile:
        """A file for random access; each read is tried as any request is."""
        reader = RangeReader(self)
        return RangeFile(partial(reader.read, name), 0, reader.size(name))

    def write(self, name: str, data: bytes | memoryview) -> None:
        """A small file, whole or absent, replacing what was there."""
        path = self.path(name)
        if self.is_local:
            self.attempt(path, lambda: write_whole(Path(path), lambda new: new.write_bytes(data)))
        else:
            self._upload(path, pa.py_buffer(data))

    def publish(self, name: str, file: Path) -> str:
        """Move a finished local file here; the name that it got is returned.

        In an object store `-` and the first 12 digits of its sha256 go before the suffix. So
        what a manifest names is never overwritten by other bytes, and any number of attempts,
        one after the other or at once, leave the same object under the same name. What is there
        in full size is kept; anything else there is written anew.
        """
        with naming(file):
            size = file.stat().st_size
            if self.is_local:
                path = self.path(name)
                self.attempt(path, lambda: write_whole(Path(path), lambda new: _copy(file, new)))
                file.unlink()
                return name
            with file.open("rb") as source:
                digest = hashlib.file_digest(source, "sha256").hexdigest()
            plain = PurePosixPath(name)
            stored = str(plain.with_name(f"{plain.stem}-{digest[:12]}{plain.suffix}"))
            if self.size(stored) != size:
                with pa.memory_map(str(file)) as mapped:
                    self._upload(self.path(stored), mapped.read_buffer())
            file.unlink()
            return stored

    def delete(self, name: str) -> None:
        """Remove a file; one that is not there is fine."""
        path = self.path(name)

        def delete() -> None:
            if self.size(name) is None:
                return
            try:
                self.filesystem.delete_file(path)
            except OSError:
                # pyarrow then puts an empty object that stands for the folder; a server that
                # refuses it has deleted the file all the same.
                if self.size(name) is not None:
                    raise

        self.attempt(path, delete)

    def clear(self) -> None:
        """Remove everything under the root, what killed writers left too."""
        if self.is_local:
            contents = self.filesystem.delete_dir_contents
            self.attempt(self.root, lambda: contents(self.root, missing_dir_ok=True))
            return
        with ThreadPoolExecutor(DELETERS) as pool:
            list(pool.map(self.delete, self.names()))

    def _upload(self, path: str, data: pa.Buffer) -> None:
        def upload() -> None:
            # One call: nothing can break between two halves. If it fails, so does the close.
            with self.filesystem.open_output_stream(path) as stream:
                stream.write(data)

        self.attempt(path, upload)

    def attempt(self, path: str, action: Callable[[], T]) -> T:
        """Do it; again after a wait where an object store failed for what may pass."""
        waits, began_s = retry.waits(), None
        for tries in itertools.count(1):
            try:
                return action()
            except StoreError:
                raise
            except (pa.ArrowException, UnicodeError) as error:
                reason = " ".join(str(error).split())
                raise StoreError(f"{path!r}: no path of a file ({reason}); correct it") from error
            except OSError as error:
                final = self.is_local or needs_a_person(error)
                wait_s = None if final else next(waits, None)
                if wait_s is None:
                    raise explained(path, error, tries) from error
                began_s = began_s or time.monotonic()
                retry.told(path, error, began_s)
            time.sleep(wait_s)
        raise AssertionError  # not reached: the last attempt returns or raises


def _is_temporary(name: str) -> bool:
    return PurePosixPath(name).name.startswith(TEMPORARY)


def _copy(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # another disk: copy instead
        os.link(source, target)
        return
    with source.open("rb") as reading, target.open("wb") as writing:
        while block := reading.read(COPY_BYTES):
            writing.write(block)
