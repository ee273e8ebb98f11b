"""Chunks of RIFF and AIFF files (name, size, data): how many bytes the one with the sound has.

Its size is believed where chunks, tags or the file's end follow it. Otherwise it wrapped round at
4 GiB, was never brought up to date, or was never written: then all that follows is sound.
"""

import struct
from typing import BinaryIO, NamedTuple

from shards.audio.containers import tags
from shards.audio.errors import truncated

HEADER_BYTES = 8
WRAP_BYTES = 1 << 32
# Programs that write into a pipe put a size just below, or at, 2 or 4 GiB in the header: "until
# the end". Sizes between these are those of long recordings.
STREAMED_BYTES = (range(0x7FFF0000, 0x80000001), range(0xFFFF0000, 0x100000000))
FILES = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM")  # another file begins: they were joined
SOUND = (b"data", b"SSND")
METADATA = (
    b"LIST", b"INFO", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"fact", b"iXML", b"_PMX",
    b"axml", b"chna", b"JUNK", b"junk", b"PAD ", b"FLLR", b"afsp", b"acid", b"inst", b"plst",
    b"note", b"labl", b"DISP", b"PEAK", b"wamd", b"guan", b"minf", b"elm1", b"regn", b"umid",
    b"MARK", b"COMT", b"NAME", b"AUTH", b"ANNO", b"INST", b"APPL", b"(c) ", b"CHAN", b"slnt",
)  # fmt: skip
MOST_CHUNKS = 64  # behind the sound


class Sound(NamedTuple):
    """The bytes of sound of one chunk."""

    start: int
    size: int
    is_as_said: bool
    next: int  # byte where the file goes on


def sound_chunk(
    file: BinaryIO, start: int, said: int, end: int, order: str, name: str, *, long: bool = False
) -> Sound:
    """The sound of a chunk whose data begins at `start`.

    Args:
        file: where it is.
        start: after the chunk's header.
        said: the size that the header gives; -1: none at all.
        end: of the file.
        order: `<` or `>`, of sizes.
        name: what errors call the file.
        long: whether the size has 64 bits, and so cannot wrap round.

    Raises:
        AudioError: the file ends before its sound does.
    """
    room = end - start
    if said >= 0:
        sizes = (said,) if long else range(said, room + 1, WRAP_BYTES)
        for size in sizes:
            for pad in sorted({size % 2, 0}, reverse=True):
                if size <= room and _is_chain(file, start + size + pad, end, order):
                    return Sound(start, size, size == said, start + size + pad)
        is_open = not long and any(said in sizes for sizes in STREAMED_BYTES)
        if said > room and not is_open:
            raise truncated(name, f"{said - room} bytes fewer than its header promises")
    return Sound(start, tags.before_tags(file, start, end) - start, is_as_said=False, next=end)


def _is_chain(file: BinaryIO, at: int, end: int, order: str, most: int = MOST_CHUNKS) -> bool:
    """Whether what begins at a byte are chunks, tags, or nothing, up to the end of the file."""
    if at >= end:
        return at <= end + 1  # the padding of an odd chunk may be absent
    if end - at < HEADER_BYTES:
        return True
    file.seek(at)
    header = file.read(HEADER_BYTES)
    ident, size = struct.unpack(f"{order}4sI", header)
    if ident in FILES or ident in SOUND or header == b"APETAGEX" or ident[:3] == b"ID3":
        return True
    if ident[:3] == b"TAG" and end - at in (tags.ID3V1_BYTES, tags.ID3V1_EXTENDED_BYTES):
        return True
    if not all(0x20 <= byte < 0x7F for byte in ident) or not most:
        return False
    after = at + HEADER_BYTES + size
    if after > end + 1:
        return ident in METADATA  # cut short, but behind the sound
    return _is_chain(file, after + size % 2, end, order, most - 1) or (
        size % 2 == 1 and _is_chain(file, after, end, order, most - 1)
    )
