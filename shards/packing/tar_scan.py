"""What lies in a tar and where, from its headers alone: anybody's tar, local or remote.

`tarfile` takes a damaged header in the middle of a tar for its end, and members after it are
lost in silence. Here a tar is read to its end marker, or is an error.
"""

import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple

from shards.errors import ShardsError

BLOCK_BYTES = tarfile.BLOCKSIZE
MAX_HEADER_BYTES = 1 << 20  # of a long name or of PAX records: more is a damaged length
GZIP_MAGIC = b"\x1f\x8b"
MAGIC_BYTES = 6  # of a file that tell what it is packed by
_MAGIC = {
    GZIP_MAGIC: "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
}
# Of an old GNU sparse header: whether more blocks of its map follow, and of those, likewise.
_MORE_IN_HEADER, _MORE_IN_BLOCK = 482, 504
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_LOCAL_PAX, _GLOBAL_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)

# Called with the name of a member that is left out, and why.
OnSkip = Callable[[str, str], object]


class TarError(ShardsError, ValueError):
    """A tar that cannot be read to its end; the message is one line and names the file."""


class PackedError(TarError):
    """A file that is packed by a program for compression, where a plain tar was expected."""


class Member(NamedTuple):
    """A regular file in a tar: its name, and the byte range of its data."""

    name: str
    offset: int
    size: int


def packed_by(head: bytes) -> str | None:
    """The program that packed a file, by its first `MAGIC_BYTES`; None for any other file."""
    if head.startswith(b"BZh") and head[4:MAGIC_BYTES] == b"1A":  # a tar's first name may be BZh...
        return "bzip2"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def scan_members(
    file: BinaryIO, name: str = "tar", on_skip: OnSkip | None = None
) -> Iterator[Member]:
    """The regular files of an uncompressed tar, in their order; only headers are read.

    Long names of GNU tar and PAX are understood. Left out, and told to `on_skip`: links,
    devices, pipes and sparse files; absolute names, names with `..` and names that are not
    UTF-8. Directories are passed over. The file may be read between two members, and needs to
    seek forward only.

    Raises:
        PackedError: gzip, zstd and the like.
        TarError: no tar, a damaged header, an end before the end marker, or data after it (tars
            that were joined); the members before it have been given by then, the last one
            perhaps without all of its bytes.
    """
    position = 0
    extra: dict[str, str] = {}  # what headers before a member say of it
    shared: dict[str, str] = {}  # what a global header says of all that follow
    while (block := _block(file, position, name)) is not None:
        header = _header(block, position, name)
        offset, size = position + BLOCK_BYTES, _data_bytes(header)
        if header.type == tarfile.GNUTYPE_SPARSE and block[_MORE_IN_HEADER]:
            offset = _behind_sparse_map(file, offset, name)
        if header.type in (_LONG_NAME, _LONG_LINK, *_LOCAL_PAX, _GLOBAL_PAX):
            data = _header_data(file, offset, header.size, name)
            if header.type == _LONG_NAME:
                more = {"path": _text(data.partition(b"\0")[0])}
            elif header.type == _LONG_LINK:
                more = {}
            else:
                more = _pax_records(data, position, name)
            if header.type == _GLOBAL_PAX:
                shared |= more
            else:
                _check_same(extra, more, position, name)
                extra |= more
            position = offset + _padded(header.size)
            continue
        records = {**shared, **extra}
        extra = {}
        if "size" in records and (header.type in _REGULAR or size):
            size = _pax_size(records["size"], position, name)
        path = records.get("GNU.sparse.name") or records.get("path", header.name)
        member = Member(path, offset, size)
        reason = _why_not(member.name, header.type, records)
        if reason is None:
            yield member
        elif reason and on_skip is not None:
            on_skip(member.name, reason)
        position = offset + _padded(size)
    if extra:
        raise TarError(f"{name}: truncated: a long name at its end without a member")


def _block(file: BinaryIO, position: int, name: str) -> bytes | None:
    """The header at a place; None at the end marker."""
    file.seek(position)
    block = file.read(BLOCK_BYTES)
    if position == 0 and (packer := packed_by(block)):
        raise PackedError(
            f"{name}: compressed with {packer}, which has no byte ranges; unpack it first"
        )
    if position == 0 and not block:
        raise TarError(f"{name}: an empty file (0 bytes); copy it again or remove it")
    if len(block) < BLOCK_BYTES:
        raise TarError(
            f"{name}: truncated: no end marker where the next header should be, at byte "
            f"{position}; copy it again"
        )
    if block.strip(b"\0"):
        return bytes(block)
    while rest := file.read(1 << 16):
        if rest.strip(b"\0"):
            raise TarError(
                f"{name}: more data after its end marker at byte {position}, which readers of "
                "tars do not see; were tars joined? keep them apart"
            )
    return None


def _header(block: bytes, position: int, name: str) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        what = "no tar" if position == 0 else f"a damaged header at byte {position}"
        raise TarError(f"{name}: {what} ({error}); copy it again, or repair the dataset") from error
    if header.size < 0:
        raise TarError(f"{name}: a damaged header at byte {position}: size {header.size}")
    return header


def _behind_sparse_map(file: BinaryIO, position: int, name: str) -> int:
    """Where the data of a sparse file begins: its map goes on in blocks of their own."""
    more = True
    while more:
        file.seek(position)
        block = file.read(BLOCK_BYTES)
        if len(block) < BLOCK_BYTES:
            raise TarError(f"{name}: truncated inside a header at byte {position}; copy it again")
        more = bool(block[_MORE_IN_BLOCK])
        position += BLOCK_BYTES
    return position


def _data_bytes(header: tarfile.TarInfo) -> int:
    """How many bytes of data follow: none for links, devices and directories."""
    follows = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
    return header.size if follows else 0


def _header_data(file: BinaryIO, offset: int, size: int, name: str) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise TarError(f"{name}: a header of {size} bytes before byte {offset}: damaged")
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise TarError(f"{name}: truncated inside a header at byte {offset}; copy it again")
    return bytes(data)


def _pax_records(data: bytes, position: int, name: str) -> dict[str, str]:
    """`<length> <key>=<value>\\n`, again and again (POSIX.1-2001, pax)."""
    records = {}
    while data.strip(b"\0"):
        digits, _, _ = data.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 10 else 0
        key, equals, value = data[len(digits) + 1 : length - 1].partition(b"=")
        if length <= len(digits) + 1 or not equals or data[length - 1 : length] != b"\n":
            raise TarError(f"{name}: a damaged PAX header at byte {position}; copy it again")
        records[_text(key)] = _text(value)
        data = data[length:]
    return records


def _check_same(extra: dict[str, str], more: dict[str, str], position: int, name: str) -> None:
    """Refuse two headers that give one member two names or sizes: the member between is gone."""
    for key in ("path", "size"):
        if key in extra and extra[key] != more.get(key, extra[key]):
            raise TarError(
                f"{name}: a damaged header at byte {position}: another {key} for the same member"
            )


def _pax_size(text: str, position: int, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise TarError(f"{name}: a damaged PAX header at byte {position}: size {text!r}")
    return int(text)


def _why_not(path: str, kind: bytes, records: Mapping[str, str]) -> str | None:
    """Why a member is left out; empty for a directory, None for a file to use."""
    if kind == tarfile.DIRTYPE:
        return ""
    if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        return "a link"
    if kind == tarfile.GNUTYPE_SPARSE or any(key.startswith("GNU.sparse.") for key in records):
        return "a sparse file"
    if kind not in _REGULAR:
        return "no regular file"
    if path.startswith("/") or ".." in PurePosixPath(path).parts:
        return "its name leads out of the tar"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return None


def _padded(size: int) -> int:
    return -(-size // BLOCK_BYTES) * BLOCK_BYTES


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
