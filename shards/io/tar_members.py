"""Files inside tars as a source's files: `shard.tar!member@offset+size` names a byte range.

The name says all that a reader needs, so that a worker fetches one clip of a remote tar with one
request, and no tar is unpacked or scanned twice.
"""

import io
import re
from functools import partial
from typing import BinaryIO, cast

from shards.errors import StoreError
from shards.io.gzip_index import GzipRanges
from shards.io.range_file import RangeFile
from shards.io.range_reader import RangeReader
from shards.io.store import Store
from shards.packing.tar_scan import Member

GZIP_SUFFIXES = (".tar.gz", ".tgz")
# With those of tars that are found, to be told of, and not read where they are.
TAR_SUFFIXES = (
    *(".tar", *GZIP_SUFFIXES, ".tar.zst", ".tzst", ".tar.xz", ".txz"),
    *(".tar.bz2", ".tbz2", ".tbz", ".tar.lz4"),
)
BUFFER_BYTES = 1 << 16
_MEMBER = re.compile(
    r"(?P<tar>.+?\.(tar|tar\.gz|tgz))!(?P<member>.+)@(?P<offset>\d+)\+(?P<size>\d+)",
    re.DOTALL | re.IGNORECASE,
)


def member_name(tar: str, member: Member) -> str:
    """What a `MemberStore` finds the member by."""
    return f"{tar}!{member.name}@{member.offset}+{member.size}"


def is_tar(name: str) -> bool:
    """Whether a name is that of a tar, packed or not."""
    return name.lower().endswith(TAR_SUFFIXES)


def is_packed(tar: str) -> bool:
    """Whether a tar's name says that it is packed by gzip."""
    return tar.lower().endswith(GZIP_SUFFIXES)


class MemberStore(Store):
    """A store whose files may also be members of its tars, by the names of `member_name`."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.filesystem, store.root)
        self.leaves_odd_names, self.left_out = store.leaves_odd_names, store.left_out
        self._packed: tuple[str, GzipRanges] | None = None  # the one read last: it knows its way

    def size(self, name: str) -> int | None:
        """Bytes of a file or member; None where there is no such file."""
        found = _MEMBER.fullmatch(name)
        return super().size(name) if found is None else int(found["size"])

    def read(self, name: str, offset: int = 0, size: int | None = None) -> bytes:
        """The bytes `[offset, offset + size)` of a file or member."""
        found = _MEMBER.fullmatch(name)
        if found is None:
            return super().read(name, offset, size)
        start, length = int(found["offset"]) + offset, int(found["size"]) - offset
        length = length if size is None else min(length, size)
        if not is_packed(found["tar"]):
            return super().read(found["tar"], start, length)
        file = self._unpacking(found["tar"])
        file.seek(start)
        data = file.read(length)
        if len(data) < length:
            raise StoreError(f"{self.path(name)}: got {len(data)} of {length} bytes; copy it again")
        return data

    def open(self, name: str) -> RangeFile:
        """A file or member for random access."""
        found = _MEMBER.fullmatch(name)
        if found is None:
            return super().open(name)
        offset, size = int(found["offset"]), int(found["size"])
        if is_packed(found["tar"]):
            data = self.read(name)
            return RangeFile(lambda at, count: data[at : at + count], 0, size)
        return RangeFile(partial(RangeReader(self).read, found["tar"]), offset, size)

    def open_tar(self, tar: str) -> BinaryIO:
        """A tar's own bytes, unpacked where it is packed, for one pass over its headers."""
        if is_packed(tar):
            return cast(BinaryIO, self._unpacking(tar))
        return cast(BinaryIO, io.BufferedReader(super().open(tar), BUFFER_BYTES))

    def _unpacking(self, tar: str) -> GzipRanges:
        if self._packed is None or self._packed[0] != tar:
            self._packed = (tar, GzipRanges(cast(BinaryIO, super().open(tar)), self.path(tar)))
        return self._packed[1]
