"""A part of a stored file as a file of its own, for what is too long to be held in memory."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from shards.io.store import Store

WHOLE_BYTES = 32 << 20  # up to here, what is read little by little anyway is fetched in one request
READ_AHEAD_BYTES = 8 << 20  # per request beyond

Opened = io.BytesIO | io.BufferedReader


@contextlib.contextmanager
def opened(store: Store, name: str, offset: int = 0, size: int | None = None) -> Iterator[Opened]:
    """The bytes `[offset, offset + size)` of a file as a read-only file with random access.

    Holds at most `WHOLE_BYTES`. A read that fails looks like the end of the file to whoever reads,
    since the sound-file library can be told of nothing else; it is raised when the block ends.
    """
    if size is None:
        size = store.size(name)
    if size is None or size <= WHOLE_BYTES:
        yield io.BytesIO(store.read(name, offset, size))
        return
    raw = _ByteRange(store, name, offset, size)
    try:
        yield io.BufferedReader(raw, READ_AHEAD_BYTES)
    finally:
        if raw.failure is not None:
            raise raw.failure


class _ByteRange(io.RawIOBase):
    def __init__(self, store: Store, name: str, offset: int, size: int) -> None:
        self.store, self.file_name, self.offset, self.size = store, name, offset, size
        self.position = 0
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = max(0, start + offset)
        return self.position

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self.size - self.position))
        if wanted == 0 or self.failure is not None:
            return 0
        try:
            data = self.store.read(self.file_name, self.offset + self.position, wanted)
        except OSError as error:
            self.failure = error
            return 0
        buffer[:wanted] = data
        self.position += wanted
        return wanted
