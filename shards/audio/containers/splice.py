"""A file made of parts of another and of new headers, which decoders read like any other."""

from bisect import bisect_right
from itertools import accumulate
from typing import BinaryIO, NamedTuple, cast

from shards.read_only import ReadOnlyFile


class Part(NamedTuple):
    """Bytes `[offset, offset + size)` of the file that is spliced."""

    offset: int
    size: int


class Piece(NamedTuple):
    """A sound file that a decoder reads as it is; several of them follow one another."""

    file: BinaryIO
    num_samples: int | None  # per channel, exactly; None: only decoding tells
    byte: int  # where it begins in the file that it is a piece of


class SplicedFile(ReadOnlyFile):
    """New bytes and parts of a file, one after another; nothing is copied.

    Args:
        file: where the parts are.
        parts: in their order.
    """

    def __init__(self, file: BinaryIO, parts: list[bytes | Part]) -> None:
        self._file, self._parts = file, parts
        sizes = [part.size if isinstance(part, Part) else len(part) for part in parts]
        self._starts = [0, *accumulate(sizes)]
        self.name = getattr(file, "name", None)
        super().__init__(self._starts[-1])

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes of the parts that hold them."""
        found = []
        while size:
            place = bisect_right(self._starts, offset) - 1
            part, inside = self._parts[place], offset - self._starts[place]
            count = min(size, self._starts[place + 1] - offset)
            if isinstance(part, Part):
                self._file.seek(part.offset + inside)
                data = self._file.read(count)
            else:
                data = part[inside : inside + count]
            if not data:
                break
            found.append(data)
            offset += len(data)
            size -= len(data)
        return found[0] if len(found) == 1 else b"".join(found)


def spliced(file: BinaryIO, *parts: bytes | Part) -> BinaryIO:
    """Such a file, as decoders take it."""
    return cast(BinaryIO, SplicedFile(file, list(parts)))
