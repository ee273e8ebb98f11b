"""Byte ranges of stored files: open files are kept, broken reads go on from where they broke."""

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from shards.errors import StoreError

if TYPE_CHECKING:
    from shards.io.store import Store

PART_BYTES = 2 << 20  # per request to an object store: what a broken connection costs at most
HANDLES = 64  # files that are kept open


class RangeReader:
    """Reads ranges of the files of one store; any number of threads may share it.

    A local range is one `pread`. Elsewhere a range is fetched in parts of `PART_BYTES`; after a
    part that failed or came short, the next try starts at the first byte that is missing. Each
    part is tried as often, and with the same waits, as any request of the store.

    It holds no bytes, and `HANDLES` open files at most.
    """

    def __init__(self, store: "Store") -> None:
        self.store = store
        self._handles: OrderedDict[str, _Handle] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, name: str, offset: int, size: int) -> bytes:
        """The bytes `[offset, offset + size)`; fewer than these is an `OSError`."""
        handle = self._opened(name) if self.store.is_local else None
        if handle is not None:
            with contextlib.suppress(OSError):  # what follows tries it again, and explains
                data = handle.read(offset, size)
                if len(data) == size:
                    return data
        path = self.store.path(name)
        at_once = size if self.store.is_local else PART_BYTES
        parts: list[bytes] = []
        done = 0
        while done < size or not parts:
            start, wanted = offset + done, min(at_once, size - done)
            parts.append(self.store.attempt(path, partial(self._part, name, start, wanted)))
            done += len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def size(self, name: str) -> int:
        """Bytes of a file; opens it."""
        path = self.store.path(name)
        handle = self.store.attempt(path, lambda: self._opened(name) or self._open(name, path))
        return handle.size()

    def forget(self, name: str) -> None:
        """Open the file anew at the next read: it may have been replaced."""
        with self._lock:
            self._handles.pop(name, None)

    def _part(self, name: str, offset: int, size: int) -> bytes:
        path = self.store.path(name)
        handle = self._opened(name) or self._open(name, path)
        try:
            data = handle.read(offset, size)
            if len(data) < size and offset + len(data) >= handle.size():
                raise StoreError(
                    f"{path}: got {len(data)} of {size} bytes at offset {offset}; the file is "
                    "truncated: restore it or pack it again"
                )
            if size and not data:
                raise OSError(f"got no bytes at offset {offset}")
        except OSError:
            with self._lock:
                self._handles.pop(name, None)
            raise
        return data

    def _opened(self, name: str) -> "_Handle | None":
        with self._lock:
            handle = self._handles.get(name)
            if handle is not None:
                self._handles.move_to_end(name)
            return handle

    def _open(self, name: str, path: str) -> "_Handle":
        opened: _Handle = (
            _LocalFile(path)
            if self.store.is_local
            else _StoredFile(self.store.filesystem.open_input_file(path))
        )
        with self._lock:
            self._handles[name] = opened
            while len(self._handles) > HANDLES:
                self._handles.popitem(last=False)  # closed when its last reader is done
        return opened


class _Handle(Protocol):
    def read(self, offset: int, size: int) -> bytes: ...

    def size(self) -> int: ...


class _LocalFile:
    def __init__(self, path: str) -> None:
        self.number = -1
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self.number, size, offset)

    def size(self) -> int:
        return os.fstat(self.number).st_size

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


class _StoredFile:
    def __init__(self, file: pa.NativeFile) -> None:
        self.file = file

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.file.read_at(size, offset))

    def size(self) -> int:
        return int(self.file.size())


@dataclass(frozen=True)
class Wanted:
    """A byte range that somebody waits for; `slot` is what they call it."""

    slot: int
    shard: str
    offset: int
    size: int

    @property
    def stop(self) -> int:
        """The first byte behind it."""
        return self.offset + self.size


@dataclass(frozen=True)
class Request:
    """Neighbouring ranges of one shard, to be read at once."""

    shard: str
    offset: int
    size: int
    parts: tuple[Wanted, ...]


def coalesce(ranges: Iterable[Wanted], gap_bytes: int, most_bytes: int) -> list[Request]:
    """Join ranges of a shard that lie at most `gap_bytes` apart, up to `most_bytes` a request.

    A range that is longer by itself is a request of its own. Requests come in the order of the
    lowest slot in each.
    """
    joined: list[list[Wanted]] = []
    stop = 0
    for wanted in sorted(ranges, key=lambda w: (w.shard, w.offset, w.slot)):
        group = joined[-1] if joined else None
        if (
            group is not None
            and group[0].shard == wanted.shard
            and wanted.offset - stop <= gap_bytes
            and max(stop, wanted.stop) - group[0].offset <= most_bytes
        ):
            group.append(wanted)
            stop = max(stop, wanted.stop)
        else:
            joined.append([wanted])
            stop = wanted.stop
    requests = [_request(group) for group in joined]
    return sorted(requests, key=lambda request: min(part.slot for part in request.parts))


def _request(parts: Sequence[Wanted]) -> Request:
    start, stop = parts[0].offset, max(part.stop for part in parts)
    return Request(parts[0].shard, start, stop - start, tuple(parts))
