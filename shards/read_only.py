"""Read-only files with random access that are made of something else."""

import io
from typing import Any


class ReadOnlyFile(io.RawIOBase):
    """Bytes that `read_at` gives, as a file.

    Args:
        size: how many there are.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._at = size, 0

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes `[offset, offset + size)`, none of them behind the end.

        Fewer where what lies below has no more.
        """
        raise NotImplementedError

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Bytes before the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose the next byte to read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; fewer than asked only at the end."""
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        data = self.read_at(self._at, wanted) if wanted else b""
        self._at += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or less of it at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
