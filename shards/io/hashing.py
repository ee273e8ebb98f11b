"""A file read once from start to end, with the sha256 and the number of the bytes that went by."""

import hashlib
import io
from typing import BinaryIO, cast

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
