"""AIFF and AIFF-C: where their samples are, whatever their header says."""

import struct
from typing import BinaryIO

from shards.audio.containers.chunks import FILES, HEADER_BYTES, sound_chunk
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import truncated

COMMON_MAX_BYTES = 1 << 10
OFFSET_BYTES = 8  # of the two numbers before the samples
# bytes a sample of the compressions that are none; of the others, only the decoder knows
SAMPLE_BYTES = {
    b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"in24": 3, b"in32": 4, b"23ni": 4,
    b"ulaw": 1, b"ULAW": 1, b"alaw": 1, b"ALAW": 1, b"raw ": 1,
}  # fmt: skip
LINEAR = (b"NONE", b"twos", b"sowt")


def aiff(file: BinaryIO, first: int, end: int, name: str) -> list[Piece]:
    """An AIFF file that begins at a byte.

    Raises:
        AudioError: it is cut short.
    """
    file.seek(first + 8)
    kind = file.read(4)
    at, common = first + 12, b""
    while at + HEADER_BYTES <= end:
        file.seek(at)
        ident, said = struct.unpack(">4sI", file.read(HEADER_BYTES))
        start = at + HEADER_BYTES
        if ident in FILES:
            break
        if ident == b"COMM":
            common = file.read(min(said, COMMON_MAX_BYTES))
        if ident == b"SSND":
            skip = int.from_bytes(file.read(4), "big")
            found = sound_chunk(file, start, said, end, ">", name)
            before = OFFSET_BYTES + skip
            span = Part(found.start + before, max(0, found.size - before))
            return [_piece(file, kind, common, span, name, first, is_as_said=found.is_as_said)]
        at = start + said + said % 2
    return []


def _piece(
    file: BinaryIO,
    kind: bytes,
    common: bytes,
    span: Part,
    name: str,
    first: int,
    *,
    is_as_said: bool,
) -> Piece:
    count = None
    if len(common) >= 18:
        channels, said, bits = struct.unpack(">HIH", common[:8])
        coding = common[18:22] if kind == b"AIFC" else b"NONE"
        each = -(-bits // 8) if coding in LINEAR else SAMPLE_BYTES.get(coding, 0)
        count = span.size // (channels * each) if channels * each else None
        if count is not None and is_as_said and said > count:
            what = f"got {count} samples where its header promises {said}"
            raise truncated(name, what)
        is_as_said = is_as_said and count in (None, said)
    if is_as_said and first == 0:
        return Piece(file, count, span.offset)
    if count is not None:
        common = common[:2] + struct.pack(">I", count) + common[6:]
        span = Part(span.offset, count * channels * each)
    common += b"\0" * (len(common) % 2)
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    size = OFFSET_BYTES + span.size
    chunks += b"SSND" + struct.pack(">I", size & 0xFFFFFFFF) + bytes(OFFSET_BYTES)
    whole = struct.pack(">I", 4 + len(chunks) + span.size & 0xFFFFFFFF)
    return Piece(spliced(file, b"FORM" + whole + kind + chunks, span), count, span.offset)
