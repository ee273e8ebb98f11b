"""A part of a stored file as a file of its own: every read is a range, none is held."""

import contextlib
import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from shards.read_only import ReadOnlyFile

if TYPE_CHECKING:
    from shards.io.store import Store

WHOLE_BYTES = 32 << 20  # up to here, what is read little by little anyway is fetched in one request
READ_AHEAD_BYTES = 8 << 20  # per request beyond

Opened = io.BytesIO | io.BufferedReader


class RangeFile(ReadOnlyFile):
    """The bytes `[offset, offset + size)` of a file, read-only, with random access.

    Args:
        fetch: reads `(offset, size)` of the whole file; all of it, or it raises.
        offset: of the first byte.
        size: how many there are.
    """

    def __init__(self, fetch: Callable[[int, int], bytes], offset: int, size: int) -> None:
        super().__init__(size)
        self._fetch, self._offset = fetch, offset

    def size(self) -> int:
        """Its bytes."""
        return self._size

    def read_at(self, offset: int, size: int) -> bytes:
        """A range of the whole file."""
        return self._fetch(self._offset + offset, size)


@contextlib.contextmanager
def opened(store: "Store", name: str, offset: int = 0, size: int | None = None) -> Iterator[Opened]:
    """The bytes `[offset, offset + size)` of a file as a read-only file with random access.

    Holds at most `WHOLE_BYTES`. A read that fails looks like the end of the file to whoever reads,
    since the sound-file library can be told of nothing else; it is raised when the block ends.
    """
    if size is None:
        size = store.size(name)
    if size is None or size <= WHOLE_BYTES:
        yield io.BytesIO(store.read(name, offset, size))
        return
    failure: OSError | None = None

    def fetch(at: int, count: int) -> bytes:
        nonlocal failure
        if failure is not None:
            return b""
        try:
            return store.read(name, at, count)
        except OSError as error:
            failure = error
            return b""

    try:
        yield io.BufferedReader(RangeFile(fetch, offset, size), READ_AHEAD_BYTES)
    finally:
        if failure is not None:
            raise failure
