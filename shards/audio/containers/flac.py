"""FLAC (RFC 9639): frames counted by their headers, since the length in front may be wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import damaged, truncated

MARK = b"fLaC"
STREAM_INFO_BYTES = 34
TOTAL_AT = 21  # of the byte whose lower half begins the number of samples
READ_BYTES = 1 << 20
FRAME_HEADER_MAX_BYTES = 16
TAIL_BYTES = 1 << 16  # larger frames are rare: then all frames are counted
QUICK_MIN_BYTES, QUICK_PLACES = 1 << 23, 16  # smaller files are read whole
MOST_STRAYS = 64
# A frame's sync code with a size and channels behind it, and a stream that begins. Each pattern has
# a byte in front that is searched for at memory's speed; one of both together would have none.
_SYNC = re.compile(rb"\xff[\xf8\xf9](?=[\x10-\xff][\x00-\xaf])")
_BEGIN = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)},
                **{code: 256 << code - 8 for code in range(8, 16)}}  # fmt: skip


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    """What each byte adds to a checksum whose highest bit comes first."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    found = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & mask
        found.append(value)
    return tuple(found)


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


class Stream(NamedTuple):
    """What stands in front of the frames."""

    rate_hz: int
    samples: int  # 0: not known when it was written
    block: int  # samples of each frame but the last, where they are equal
    frames_at: int


class Frame(NamedTuple):
    """A frame's header."""

    byte: int
    number: int  # of the frame, or of its first sample where frames differ in size
    samples: int
    is_variable: bool
    codes: bytes  # rate, channels and bits, which are those of the whole stream


@dataclass
class _Count:
    """Frames of one stream, in order."""

    first: int
    stream: Stream
    samples: int = 0
    expected: int | None = None  # number of the next frame
    codes: bytes = b""
    last: Frame | None = None
    strays: list[Frame] = field(default_factory=list)  # headers, or sound that looks like one
    due: list[int] = field(default_factory=list)  # the sample where each of them lies
    followed: dict[int, int] = field(default_factory=dict)  # byte of a stray: of the next frame
    end: int = 0


def flac(file: BinaryIO, first: int, end: int, name: str) -> list[Piece]:
    """A FLAC file that begins at a byte; several that were joined are so many pieces.

    Raises:
        AudioError: frames are missing, or not in their order.
    """
    return [_piece(file, count) for count in _counted(file, first, end, name)]


def promised(file: BinaryIO, first: int, end: int) -> int | None:
    """The length in the header of a large file, where some frames and the last one agree with it.

    None: count the frames. Streams that were joined have frames whose numbers begin anew.
    """
    stream = _stream(file, first)
    if stream is None or not stream.samples or end - first < QUICK_MIN_BYTES:
        return None
    before, step = 0, (end - TAIL_BYTES - stream.frames_at) // QUICK_PLACES
    for place in range(QUICK_PLACES + 1):
        at = end - TAIL_BYTES - (QUICK_PLACES - place) * step
        file.seek(at)
        data = file.read(TAIL_BYTES)
        frames = [_frame(data, match.start(), at, stream) for match in _SYNC.finditer(data)]
        ends = [_end_sample(frame, stream) for frame in frames if frame is not None]
        if not ends or ends != sorted(ends) or ends[-1] < before:
            return None
        before = ends[-1]
    return stream.samples if before == stream.samples else None


def _counted(file: BinaryIO, first: int, end: int, name: str) -> Iterator[_Count]:
    count = None
    for at, data, offset, is_stream in _candidates(file, first, end):
        if is_stream:
            if count is not None and at < count.stream.frames_at:
                continue  # within its pictures and comments
            stream = _stream(file, at)
            if stream is None or (count is not None and count.last is None):
                continue
            if count is not None:
                count.end = at
                yield _checked(file, count, name)
            count = _Count(first=at, stream=stream)
        elif count is not None and at >= count.stream.frames_at:
            _add(count, data, offset, at - offset)
    if count is not None:
        count.end = end
        yield _checked(file, count, name)


def _candidates(file: BinaryIO, first: int, end: int) -> Iterator[tuple[int, bytes, int, bool]]:
    """Bytes where a frame or a stream may begin, with the data around them."""
    at, overlap = first, b""
    while at < end:
        file.seek(at)
        block = file.read(min(READ_BYTES, end - at))
        if not block:
            return
        data, offset = overlap + block, at - len(overlap)
        at += len(block)
        limit = len(data) if at >= end else len(data) - FRAME_HEADER_MAX_BYTES
        places = [match.start() for each in (_SYNC, _BEGIN) for match in each.finditer(data)]
        for place in sorted(places):
            if place < limit:
                yield offset + place, data, offset, data[place] != 0xFF
        overlap = data[max(0, limit) :]


def _stream(file: BinaryIO, at: int) -> Stream | None:
    """STREAMINFO and the end of the metadata of a stream that begins at a byte."""
    file.seek(at)
    head = file.read(8 + STREAM_INFO_BYTES)
    if len(head) < 8 + STREAM_INFO_BYTES or head[:4] != MARK or head[4] & 0x7F:
        return None
    info = head[8:]
    rest = int.from_bytes(info[10:18], "big")
    block = int.from_bytes(info[:2], "big")
    position, is_last = at + 8 + STREAM_INFO_BYTES, head[4] & 0x80
    while not is_last:
        file.seek(position)
        header = file.read(4)
        if len(header) < 4:
            return None
        is_last = header[0] & 0x80
        position += 4 + int.from_bytes(header[1:], "big")
    return Stream(rest >> 44, rest & (1 << 36) - 1, block, position)


def _add(count: _Count, data: bytes, offset: int, at: int) -> None:
    """Take a frame where it is the next one; else note that one may be there."""
    frame = _frame(data, at, offset, count.stream)
    if frame is None or (count.codes and frame.codes != count.codes):
        return
    if count.expected is None and frame.byte == count.stream.frames_at:
        count.expected, count.codes = frame.number, frame.codes  # a live stream begins anywhere
    if frame.number == count.expected:
        count.samples += frame.samples
        count.expected += frame.samples if frame.is_variable else 1
        count.last = frame
        for stray in count.strays[len(count.followed) :]:
            count.followed[stray.byte] = frame.byte
    elif len(count.strays) < MOST_STRAYS:
        count.strays.append(frame)
        count.due.append(count.samples)


def _frame(data: bytes, at: int, offset: int, stream: Stream) -> Frame | None:
    """The frame header at a place, or None where there is none."""
    if at + 6 > len(data) or data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8:
        return None
    size_code, rate_code = data[at + 2] >> 4, data[at + 2] & 15
    if not size_code or rate_code == 15 or data[at + 3] >> 4 > 10 or data[at + 3] & 1:
        return None
    number, place = _number(data, at + 4)
    if place < 0:
        return None
    samples = _BLOCK_SIZES.get(size_code, 0)
    if size_code in (6, 7):
        width = size_code - 5
        samples = int.from_bytes(data[place : place + width], "big") + 1
        place += width
    place += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if place >= len(data) or _crc(_CRC8, 8, data[at:place]) != data[place]:
        return None
    channels = min(data[at + 3] >> 4, 7)
    if data[at + 3] >> 4 > 7:  # two channels, one of them as a difference: chosen for each frame
        channels = 1
    codes = bytes((rate_code, channels, data[at + 3] & 15, data[at + 1]))
    return Frame(offset + at, number, samples, bool(data[at + 1] & 1), codes)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number coded as in UTF-8, of up to seven bytes, and where it ends; -1: it is none."""
    lead = data[at]
    if lead < 0x80:
        return lead, at + 1
    more = 7 - (lead ^ 0xFF).bit_length()
    if not 1 <= more <= 6 or at + more >= len(data):
        return 0, -1
    value = lead & (1 << 6 - more) - 1
    for byte in data[at + 1 : at + 1 + more]:
        if byte >> 6 != 2:
            return 0, -1
        value = value << 6 | byte & 0x3F
    return value, at + 1 + more


def _crc(table: tuple[int, ...], bits: int, data: bytes) -> int:
    value, mask = 0, (1 << bits) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
    return value


def _end_sample(frame: Frame, stream: Stream) -> int:
    """Samples of the stream up to the end of a frame."""
    start = frame.number if frame.is_variable else frame.number * stream.block
    return start + frame.samples


def _checked(file: BinaryIO, count: _Count, name: str) -> _Count:
    """The count, where no frame stands out of its order and none is missing at the end."""
    rate_hz = max(1, count.stream.rate_hz)
    bounds = [stray.byte for stray in count.strays]
    for place, stray in enumerate(count.strays):
        # Sound may look like a header; a whole frame with its checksum is one.
        stops = {*bounds[place + 1 : place + 2], count.followed.get(stray.byte, count.end)}
        if any(_is_frame(file, stray.byte, stop) for stop in stops):
            what = f"frame {stray.number} is not the one that is due"
            raise damaged(name, what, byte=stray.byte, second=count.due[place] / rate_hz)
    if count.stream.samples > count.samples:
        raise truncated(
            name,
            f"got {count.samples / rate_hz:.3f} s of frames, up to byte {count.end}, where its "
            f"header promises {count.stream.samples / rate_hz:.3f} s",
        )
    return count


def _is_frame(file: BinaryIO, start: int, stop: int) -> bool:
    if not 0 < stop - start <= READ_BYTES:
        return False
    file.seek(start)
    return not _crc(_CRC16, 16, file.read(stop - start))


def _piece(file: BinaryIO, count: _Count) -> Piece:
    """The stream, with its true length in front where another stands there."""
    total, size = count.samples, count.end - count.first
    if total == count.stream.samples and count.first == 0:
        return Piece(file, total, 0)
    file.seek(count.first + TOTAL_AT)
    known = file.read(5)
    length = (known[0] & 0xF0) << 32 | total
    start = count.first + TOTAL_AT + 5
    rest = Part(start, count.first + size - start)
    patched = spliced(file, Part(count.first, TOTAL_AT), length.to_bytes(5, "big"), rest)
    return Piece(patched, total, count.first)
