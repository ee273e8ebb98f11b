"""Random access to a gzip file without unpacking it to disk: what `tar.gz` shards need.

Deflate can only be read from a place where the decoder's state is known. While a file is read for
the first time, the state is kept every `SPAN_BYTES` (about 40 kB each, so 1 % in memory); later a
read goes back to the last kept state before it, at most a span away.
"""

import io
import zlib
from bisect import bisect_right
from typing import BinaryIO, NamedTuple

from shards.errors import ShardsError

SPAN_BYTES = 4 << 20  # of unpacked bytes between two kept states
READ_BYTES = 1 << 16  # of packed bytes at a time
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


class GzipError(ShardsError, ValueError):
    """A gzip file that is damaged or cut short; the message is one line and names the file."""


class _State(NamedTuple):
    position: int  # of unpacked bytes that came before
    packed_position: int  # of packed bytes that the decoder took
    decoder: "zlib._Decompress"


class GzipRanges(io.RawIOBase):
    """The unpacked bytes of a gzip file, for reading and seeking; joined files are read as one.

    Raises:
        GzipError: the file is no gzip, damaged, or ends before its last checksum.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        super().__init__()
        self._file = file
        self._name = name
        start = zlib.decompressobj(_GZIP_WINDOW)
        self._states = [_State(0, 0, start)]
        self._at = _State(0, 0, start.copy())
        self._pending = b""  # unpacked bytes that follow the wanted position
        self._wanted = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is, but not from the end, which is known only when all was unpacked."""
        return True

    def tell(self) -> int:
        """Unpacked bytes before the next read."""
        return self._wanted

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose the next byte to read; nothing is unpacked yet."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("seek from the end of a gzip file")
        target = offset + (self._wanted if whence == io.SEEK_CUR else 0)
        start = self._at.position - len(self._pending)
        if start <= target <= self._at.position:
            self._pending = self._pending[target - start :]
        else:
            behind = bisect_right(self._states, target, key=lambda state: state.position) - 1
            if target < start or self._states[behind].position > self._at.position:
                kept = self._states[behind]
                self._at = kept._replace(decoder=kept.decoder.copy())
            self._pending = b""
        self._wanted = target
        return target

    def read(self, size: int = -1) -> bytes:
        """`size` bytes, or fewer at the end."""
        parts: list[bytes] = []
        while size != 0:
            if not self._pending and not self._fill():
                break
            part = self._pending if size < 0 else self._pending[:size]
            self._pending = self._pending[len(part) :]
            self._wanted += len(part)
            size -= len(part) if size > 0 else 0
            parts.append(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """Unpack until bytes at the wanted position are there; False at the end."""
        while not self._pending:
            unpacked = self._unpack()
            if unpacked is None:
                return False
            before = self._at.position - len(unpacked)
            self._pending = unpacked[max(0, self._wanted - before) :]
        return True

    def _unpack(self) -> bytes | None:
        """The next unpacked bytes; None at the end of the file."""
        position, packed, decoder = self._at
        if position >= self._states[-1].position + SPAN_BYTES:
            self._states.append(_State(position, packed, decoder.copy()))
        self._file.seek(packed)
        data = self._file.read(READ_BYTES)
        if decoder.eof:
            if not data.strip(b"\0"):  # tapes pad with zeros
                return None
            decoder = zlib.decompressobj(_GZIP_WINDOW)
        if not data:
            raise GzipError(
                f"{self._name}: truncated after {position} unpacked bytes; copy it again"
            )
        try:
            unpacked = decoder.decompress(data)
        except zlib.error as error:
            raise GzipError(
                f"{self._name}: damaged after {position} unpacked bytes ({error}); copy it again"
            ) from error
        taken = len(data) - len(decoder.unused_data)
        self._at = _State(position + len(unpacked), packed + taken, decoder)
        return unpacked
