"""Whole files unpacked: what compression leaves no byte ranges of."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from shards.errors import ShardsError, naming

COPY_BYTES = 1 << 20


class UnpackError(ShardsError, ValueError):
    """A packed file that is damaged, or of a kind that is not read; the message is one line."""


def unpack(file: BinaryIO, packer: str, to: Path, name: str) -> None:
    """Write what a packed file holds.

    Args:
        file: the packed bytes.
        packer: what packed it, as `packed_by` names it.
        to: the new file.
        name: what errors call the packed one.

    Raises:
        UnpackError: it is damaged or cut short, or an archive of another kind.
    """
    if packer not in _OPENERS:
        raise UnpackError(f"{name}: an archive of {packer}; expected a tar: make one of its files")
    with _OPENERS[packer](file) as packed, naming(to), to.open("wb") as plain:
        while block := _next(packed, packer, name):
            plain.write(block)


def _next(packed: BinaryIO, packer: str, name: str) -> bytes:
    try:
        return packed.read(COPY_BYTES)
    except ShardsError:  # of the packed file's own store
        raise
    except (EOFError, OSError, lzma.LZMAError, zlib.error, pa.ArrowInvalid) as error:
        raise UnpackError(f"{name}: damaged {packer} ({error}); copy it again") from error


def _arrow(codec: str) -> Callable[[BinaryIO], BinaryIO]:
    def opened(file: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(file, "r"), codec))

    return opened


_OPENERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "gzip": lambda file: cast(BinaryIO, gzip.GzipFile(fileobj=file)),
    "bzip2": lambda file: cast(BinaryIO, bz2.BZ2File(file)),
    "xz": lambda file: cast(BinaryIO, lzma.LZMAFile(file)),  # noqa: SIM115
    "zstd": _arrow("zstd"),
    "lz4": _arrow("lz4"),
}
