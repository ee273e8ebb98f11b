"""Lines that decoders write to C's standard error, which name no file: kept away.

libmpg123, inside libsndfile, tells of damaged frames in lines of its own, and libsndfile has no
switch for it. C's `stderr` is a variable of the C library: while an MP3 is decoded it points to
the null device. Python, other processes and C++ write by other ways, and are not touched.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

NAMES = ("stderr", "__stderrp")  # of the variable, in glibc and musl, and on macOS


class _Stream:
    """The variable, what it was, and how many decoders are at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._variable: ctypes.c_void_p | None = None
        self._before: int | None = None
        self._null: int | None = None
        with contextlib.suppress(OSError, AttributeError, TypeError):
            library = ctypes.CDLL(None)
            library.fopen.restype = ctypes.c_void_p
            self._null = library.fopen(os.devnull.encode(), b"w")
            for name in NAMES:
                with contextlib.suppress(ValueError):
                    self._variable = ctypes.c_void_p.in_dll(library, name)

    def away(self) -> None:
        if self._variable is None or self._null is None:
            return
        with self._lock:
            if self._depth == 0:
                self._before, self._variable.value = self._variable.value, self._null
            self._depth += 1

    def back(self) -> None:
        if self._variable is None or self._null is None:
            return
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                self._variable.value = self._before


_stream: _Stream | None = None
_first = threading.Lock()


@contextlib.contextmanager
def quiet_decoder() -> Iterator[None]:
    """Nothing of what C libraries write to `stderr` in the block is seen."""
    global _stream
    with _first:
        if _stream is None:
            _stream = _Stream()
    _stream.away()
    try:
        yield
    finally:
        _stream.back()
