"""Core Audio Format, by Apple's specification: 8 bytes in front, then chunks with 12 of header."""

from typing import BinaryIO

from shards.audio.containers.splice import Part
from shards.audio.errors import damaged, truncated

HEADER_BYTES = 12
BEHIND = (
    b"chan", b"edct", b"free", b"info", b"inst", b"mark", b"midi", b"ovvw", b"pakt", b"peak",
    b"regn", b"strg", b"umid", b"uuid",
)  # fmt: skip


def caf(file: BinaryIO, first: int, end: int, name: str) -> tuple[bytes | Part, ...]:
    """Chunks follow one another to the end of the file; that of the sound may leave its size open.

    The size of sound whose packets are all of one length (PCM) is believed where chunks follow it;
    else all that follows is sound.

    Raises:
        AudioError: it is cut short, or something that is no chunk stands behind one.
    """
    at, packet_bytes, is_behind = first + 8, 0, False
    while at + HEADER_BYTES <= end:
        kind, size = _chunk(file, at)
        start = at + HEADER_BYTES
        if kind == b"desc":
            file.seek(start)
            packet_bytes = int.from_bytes(file.read(20)[16:], "big")
        is_open = kind == b"data" and size == -1
        if kind == b"data" and packet_bytes and 0 <= size < end - start:
            is_open = not _is_chain(file, start + size, end, packet_bytes)
        if is_open:
            # a decoder would call the last part of sound of open length corrupt
            real = (end - start).to_bytes(8, "big")
            return Part(first, at + 4 - first), real, Part(start, end - start)
        if not _is_header(kind, size):
            what = "no CAF chunk; the size of the chunk before it, or this one, is not true"
            raise damaged(name, what, byte=at)
        is_behind = is_behind or kind == b"data"
        if start + size > end and not (packet_bytes and is_behind and kind in BEHIND):
            raise truncated(name, f"{start + size - end} bytes fewer than its header promises")
        at = start + size
    return (Part(first, end - first),)


def _chunk(file: BinaryIO, at: int) -> tuple[bytes, int]:
    """Name and size of the chunk at a byte."""
    file.seek(at)
    header = file.read(HEADER_BYTES)
    return header[:4], int.from_bytes(header[4:], "big", signed=True)


def _is_header(kind: bytes, size: int) -> bool:
    return size >= 0 and all(0x20 <= byte < 0x7F for byte in kind)


def _is_chain(file: BinaryIO, at: int, end: int, packet_bytes: int) -> bool:
    """Whether what begins at a byte are chunks, up to the file's end; a known one may be cut.

    Less than a chunk's header is padding where it is less than a packet of sound too.
    """
    if end - at < HEADER_BYTES:
        return end - at < packet_bytes
    while at + HEADER_BYTES <= end:
        kind, size = _chunk(file, at)
        if not _is_header(kind, size):
            return False
        at += HEADER_BYTES + size
        if at > end:
            return kind in BEHIND
    return True
