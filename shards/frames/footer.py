"""Whether the footer of an Arrow file names all its batches: Arrow reads those that it names.

A damaged footer can name fewer, and still be read. The batches of a file lie one behind another, so
those of the footer have to fill the file from its schema to the mark in front of the footer. The
layout is that of the Arrow columnar format, "IPC File Format", in `File.fbs` and `Message.fbs`.
"""

import io
import struct
from typing import BinaryIO

from shards.errors import FrameError

SCHEMA_AT = 8  # behind the file's mark and its padding
TAIL = struct.Struct("<i6s")  # bytes of the footer, and the file's mark
MARK = b"ARROW1"
PREFIX = struct.Struct("<Ii")  # 0xFFFFFFFF, and bytes of the metadata that follows
BLOCK = struct.Struct("<qi4xq")  # where a batch begins, bytes of its metadata and of its body
BATCHES_FIELD = 3  # of the table Footer, behind version, schema and dictionaries
TAIL_BYTES = 1 << 12  # holds most footers, so that one request gets them


def check_batches(file: BinaryIO, num_batches: int) -> None:
    """Raise `FrameError` where a file holds other batches than the reader of its footer finds.

    Args:
        file: a whole Arrow file.
        num_batches: how many the reader found.
    """
    size = file.seek(0, io.SEEK_END)
    tail = _last(file, size, TAIL_BYTES)
    length, mark = TAIL.unpack(tail[-TAIL.size :])
    if mark != MARK or not 0 < length <= size - TAIL.size:
        raise FrameError("its end is no footer")
    if length > len(tail) - TAIL.size:
        tail = _last(file, size, length + TAIL.size)
    try:
        blocks = _blocks(tail[-length - TAIL.size : -TAIL.size])
    except struct.error as error:
        raise FrameError("its footer is damaged") from error
    file.seek(SCHEMA_AT)
    _, metadata = PREFIX.unpack(file.read(PREFIX.size))
    at = SCHEMA_AT + PREFIX.size + metadata
    for start, head, body in blocks:
        if start != at:
            raise FrameError(f"its footer has a batch at byte {start}, where {at} is due")
        at += head + body
    end = size - TAIL.size - length - PREFIX.size
    if at != end or len(blocks) != num_batches:
        raise FrameError(
            f"its footer names {num_batches} batches, up to byte {at}, where they end at {end}"
        )


def _last(file: BinaryIO, size: int, count: int) -> bytes:
    file.seek(max(0, size - count))
    return file.read(min(size, count))


def _blocks(footer: bytes) -> list[tuple[int, int, int]]:
    """The batches of a footer, a FlatBuffers table; `struct.error` where it leads outside."""
    table = _number(footer, "<I", 0)
    fields = table - _number(footer, "<i", table)  # how long the list is, and where each field is
    entry = 4 + 2 * BATCHES_FIELD
    if entry >= _number(footer, "<H", fields):
        return []
    if not (offset := _number(footer, "<H", fields + entry)):
        return []
    vector = table + offset + _number(footer, "<I", table + offset)
    count, first = _number(footer, "<I", vector), vector + 4
    if first + count * BLOCK.size > len(footer):
        raise struct.error
    return [BLOCK.unpack_from(footer, first + place * BLOCK.size) for place in range(count)]


def _number(data: bytes, form: str, at: int) -> int:
    if at < 0:
        raise struct.error
    return int(struct.unpack_from(form, data, at)[0])
