"""A file read once from start to end, with the sha256 and the number of the bytes that went by."""

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from isal import isal_zlib

from shards.io.range_file import WHOLE_BYTES

READ_BYTES = 1 << 20  # at a time: in an object store each of them is a request


class ForwardFile(io.RawIOBase):
    """Reads and seeks forward; what is passed over is read too, so that the hash is of all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = io.BufferedReader(cast(io.RawIOBase, file), READ_BYTES)
        self.sha256 = hashlib.sha256()
        self.size = 0  # bytes read up to now: the position

    def read(self, size: int = -1) -> bytes:
        """The next bytes; fewer than asked only at the end."""
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go on to a place further on; stops at the end where that is before it."""
        if whence != io.SEEK_SET or offset < self.size:
            raise io.UnsupportedOperation(f"cannot go back from byte {self.size} to {offset}")
        while self.size < offset and self.read(min(READ_BYTES, offset - self.size)):
            pass
        return self.size

    def tell(self) -> int:
        """The position."""
        return self.size

    def drain(self) -> None:
        """Read what is left."""
        while self.read(READ_BYTES):
            pass


class Taken(NamedTuple):
    """A part of a file that went by, to be read in any order, and its checksums."""

    file: BinaryIO
    sha256: str
    crc32: int


@contextlib.contextmanager
def taken(file: ForwardFile, size: int) -> Iterator[Taken]:
    """The next bytes of a file: in memory up to `WHOLE_BYTES`, more in a temporary file."""
    if size <= WHOLE_BYTES:
        data = file.read(size)
        digest = hashlib.sha256(data).hexdigest()
        yield Taken(io.BytesIO(data), digest, isal_zlib.crc32(data))
        return
    with tempfile.TemporaryFile() as held:
        sha256, crc32 = hashlib.sha256(), 0
        while size and (data := file.read(min(READ_BYTES, size))):
            held.write(data)
            sha256.update(data)
            crc32 = isal_zlib.crc32(data, crc32)
            size -= len(data)
        held.seek(0)
        yield Taken(cast(BinaryIO, held), sha256.hexdigest(), crc32)
