"""WAV (RIFF, RIFX, RF64, BW64) and W64: where their samples are, whatever their header says.

A header that is wrong is replaced by a right one, so that libsndfile reads all that is there.
"""

import struct
from typing import BinaryIO, NamedTuple

from shards.audio.containers.chunks import FILES, HEADER_BYTES, sound_chunk
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import AudioError, truncated

PCM, IEEE_FLOAT, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
FIXED_SIZE = (PCM, IEEE_FLOAT, ALAW, MULAW, EXTENSIBLE)  # each frame has as many bytes
SAMPLE_BYTES = (1, 2, 3, 4, 8)
MPEG = (0x50, 0x55)  # layers I and II, layer III
FORMAT_MAX_BYTES = 1 << 12  # of a `fmt ` chunk: a longer one is damaged
RIFF_MAX_BYTES = (1 << 32) - (1 << 16)  # of sound behind a header of 32 bits
W64_HEADER_BYTES = 24
W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of the GUIDs of chunks
W64_RIFF = bytes.fromhex("726966662e91cf11a5d628db04c10000")


class Wav(NamedTuple):
    """What a WAV file holds: its pieces, and the format tag of its samples."""

    pieces: list[Piece]
    tag: int
    spans: list[Part]  # the bytes of samples


def wav(file: BinaryIO, first: int, end: int, name: str) -> Wav:
    """A WAV file that begins at a byte; several that were joined are so many pieces.

    Raises:
        AudioError: it is cut short.
    """
    pieces: list[Piece] = []
    spans: list[Part] = []
    tag = 0
    while True:
        file.seek(first)
        order = ">" if file.read(4) == b"RIFX" else "<"
        at, form, long = first + 12, b"", None
        while at + HEADER_BYTES <= end:
            file.seek(at)
            ident, said = struct.unpack(f"{order}4sI", file.read(HEADER_BYTES))
            start = at + HEADER_BYTES
            if ident in FILES:
                break
            if ident == b"ds64":
                long = int.from_bytes(file.read(16)[8:], "little")
            elif ident == b"fmt ":
                form = file.read(min(said, FORMAT_MAX_BYTES))
                tag = int.from_bytes(form[:2], "little" if order == "<" else "big")
            elif ident == b"data":
                is_long = long is not None and said == 0xFFFFFFFF
                size = (long or -1) if is_long else said
                found = sound_chunk(file, start, size, end, order, name, long=is_long)
                spans.append(Part(found.start, found.size))
                is_plain = found.is_as_said and first == 0 and not pieces
                pieces.append(_piece(file, form, order, spans[-1], name, is_plain=is_plain))
                at = found.next
                continue
            at = start + said + said % 2
        else:
            return Wav(pieces, tag, spans)
        first = at


def w64(file: BinaryIO, first: int, end: int, name: str) -> list[Piece]:
    """A Sony Wave64 file.

    Raises:
        AudioError: it is cut short.
    """
    at, form = first + 40, b""
    while at + W64_HEADER_BYTES <= end:
        file.seek(at)
        ident, said = struct.unpack("<16sq", file.read(W64_HEADER_BYTES))
        start = at + W64_HEADER_BYTES
        size = said - W64_HEADER_BYTES
        if ident == b"fmt " + W64_TAIL:
            form = file.read(max(0, min(size, FORMAT_MAX_BYTES)))
        if ident == b"data" + W64_TAIL:
            room, after = end - start, start + size + -size % 8
            if size <= 0 or (after < end and not _is_w64_chunk(file, after)):
                size = room  # never written, or never brought up to date
            if size > room:
                what = f"{size - room} bytes fewer than its header promises"
                raise truncated(name, what)
            return [_piece(file, form, "<", Part(start, size), name, is_plain=False)]
        if size < 0:
            break
        at = start + size + -size % 8
    return []


def _is_w64_chunk(file: BinaryIO, at: int) -> bool:
    file.seek(at)
    return file.read(16).endswith(W64_TAIL[4:])


def _piece(
    file: BinaryIO, form: bytes, order: str, span: Part, name: str, *, is_plain: bool
) -> Piece:
    """The file itself where its header is right, else the samples behind a new header."""
    tag, align = 0, 0
    if len(form) >= 16:
        tag, channels, _, _, align, bits = struct.unpack(f"{order}HHIIHH", form[:16])
        if tag in FIXED_SIZE and align != channels * -(-bits // 8):
            _check_container(channels, align, bits, name)
    count = span.size // align if tag in FIXED_SIZE and align else None
    if is_plain:
        return Piece(file, count, span.offset)
    size = span.size if count is None else count * align
    header = _header(form, order, size, name)
    return Piece(spliced(file, header, Part(span.offset, size)), count, span.offset)


def _check_container(channels: int, align: int, bits: int, name: str) -> None:
    """Refuse frames that do not hold so many bits, perhaps in a wider number, for each channel."""
    width, rest = divmod(align, channels or 1)
    if not channels or rest or width not in SAMPLE_BYTES or 8 * width < bits:
        raise AudioError(
            f"{name}: damaged (its header says frames of {align} bytes for {channels} channels of "
            f"{bits} bits); restore it from its source"
        )


def _header(form: bytes, order: str, size: int, name: str) -> bytes:
    fmt = b"fmt " + struct.pack(f"{order}I", len(form)) + form + b"\0" * (len(form) % 2)
    if size <= RIFF_MAX_BYTES:
        ident = b"RIFX" if order == ">" else b"RIFF"
        whole = struct.pack(f"{order}I", 4 + len(fmt) + HEADER_BYTES + size + size % 2)
        return ident + whole + b"WAVE" + fmt + b"data" + struct.pack(f"{order}I", size)
    if order == ">":
        raise AudioError(f"{name}: got a big-endian WAV (RIFX) of {size} bytes; convert it to WAV")
    ds64 = struct.pack("<QQQI", 4 + 36 + len(fmt) + HEADER_BYTES + size, size, 0, 0)
    unknown = b"\xff\xff\xff\xff"
    start = b"RF64" + unknown + b"WAVEds64" + struct.pack("<I", len(ds64)) + ds64
    return start + fmt + b"data" + unknown
