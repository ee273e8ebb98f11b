"""A file made of parts of another and of new headers, which decoders read like any other."""

import io
from bisect import bisect_right
from itertools import accumulate
from typing import Any, BinaryIO, NamedTuple, cast


class Part(NamedTuple):
    """Bytes `[offset, offset + size)` of the file that is spliced."""

    offset: int
    size: int


class Piece(NamedTuple):
    """A sound file that a decoder reads as it is; several of them follow one another."""

    file: BinaryIO
    num_samples: int | None  # per channel, exactly; None: only decoding tells
    byte: int  # where it begins in the file that it is a piece of


class SplicedFile(io.RawIOBase):
    """New bytes and parts of a file, one after another; read-only, nothing is copied.

    Args:
        file: where the parts are.
        parts: in their order.
    """

    def __init__(self, file: BinaryIO, parts: list[bytes | Part]) -> None:
        super().__init__()
        self._file, self._parts = file, parts
        sizes = [part.size if isinstance(part, Part) else len(part) for part in parts]
        self._starts = [0, *accumulate(sizes)]
        self._size, self._at = self._starts[-1], 0
        self.name = getattr(file, "name", None)

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
        found = []
        while wanted:
            place = bisect_right(self._starts, self._at) - 1
            part, inside = self._parts[place], self._at - self._starts[place]
            count = min(wanted, self._starts[place + 1] - self._at)
            if isinstance(part, Part):
                self._file.seek(part.offset + inside)
                data = self._file.read(count)
            else:
                data = part[inside : inside + count]
            if not data:
                break
            found.append(data)
            self._at += len(data)
            wanted -= len(data)
        return found[0] if len(found) == 1 else b"".join(found)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, or less of it at the end."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def spliced(file: BinaryIO, *parts: bytes | Part) -> BinaryIO:
    """Such a file, as decoders take it."""
    return cast(BinaryIO, SplicedFile(file, list(parts)))
