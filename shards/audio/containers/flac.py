"""FLAC (RFC 9639): frames counted by their headers, since the length in front may be wrong."""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from shards.audio.containers.flac_headers import (
    HEADER_MAX_BYTES,
    Alike,
    Frame,
    Stream,
    crc16,
    fits,
    frame,
    stream_at,
)
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import damaged, truncated

TOTAL_AT = 21  # of the byte whose lower half begins the number of samples
READ_BYTES = 1 << 20
TAIL_BYTES = 1 << 16  # larger frames are rare: then all frames are counted
QUICK_MIN_BYTES, QUICK_PLACES = 1 << 23, 16  # smaller files are read whole
MOST_STRAYS = 64
# A frame's sync code with a size and channels behind it, and a stream that begins. Each pattern has
# a byte in front that is searched for at memory's speed; one of both together would have none.
_SYNC = re.compile(rb"\xff[\xf8\xf9](?=[\x10-\xff][\x00-\xaf])")
_BEGIN = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


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
    if first == 0 and (samples := _plain(file, end)):
        return [Piece(file, samples, 0)]
    return [_piece(file, count) for count in _counted(file, first, end, name)]


def promised(file: BinaryIO, first: int, end: int) -> int | None:
    """The length in the header of a large file, where some frames and the last one agree with it.

    None: count the frames. Streams that were joined have frames whose numbers begin anew.
    """
    stream = stream_at(file, first)
    if stream is None or not stream.samples or end - first < QUICK_MIN_BYTES:
        return None
    before, step = 0, (end - TAIL_BYTES - stream.frames_at) // QUICK_PLACES
    for place in range(QUICK_PLACES + 1):
        at = end - TAIL_BYTES - (QUICK_PLACES - place) * step
        file.seek(at)
        data = file.read(TAIL_BYTES)
        frames = [frame(data, match.start(), at) for match in _SYNC.finditer(data)]
        ends = [_end_sample(each, stream) for each in frames if each and fits(each, stream)]
        if not ends or ends != sorted(ends) or ends[-1] < before:
            return None
        before = ends[-1]
    return stream.samples if before == stream.samples else None


def broken_frame(file: BinaryIO, after: int) -> tuple[int, int] | None:
    """Byte and first sample of the first frame that ends behind a sample and is not whole.

    None: the checksums of all of them are right.
    """
    stream, end = stream_at(file, 0), file.seek(0, io.SEEK_END)
    if stream is None:
        return None
    count = _Count(first=0, stream=stream)
    for at, data, offset, is_stream in _candidates(file, stream.frames_at, end):
        before, samples = count.last, count.samples
        if not is_stream:
            _add(count, data, offset, at - offset)
        if before is None or count.last is before or samples <= after:
            continue
        if not _is_frame(file, before.byte, at):
            return before.byte, samples - before.samples
    last = count.last
    if last is None or _is_frame(file, last.byte, end):
        return None
    return last.byte, count.samples - last.samples


def _plain(file: BinaryIO, end: int) -> int | None:
    """Samples of a file that is what its header says, which most are: a quick look at the same.

    None: some frame is not the one that is due, or their sum is not the header's: count with care.
    What is shorter than the shortest frame of the header is not searched for the next frame: where
    that leaves one out, the next one found is not the one that is due.
    """
    stream, alike = stream_at(file, 0), Alike()
    if stream is None or not stream.samples:
        return None
    at, number, samples, codes = stream.frames_at, 0, 0, b""
    while at < end:
        file.seek(at)
        data = file.read(min(READ_BYTES, end - at))
        if not data:
            return None
        limit = len(data) if at + len(data) >= end else len(data) - HEADER_MAX_BYTES
        place = 0
        while match := _SYNC.search(data, place, limit):
            place = match.start()
            if not (count := alike.samples(data, place, number)):
                found = frame(data, place, at)
                if found is None:  # sound that looks like a frame
                    place += 1
                    continue
                is_due = found.number == number and not found.is_variable
                if not is_due or found.codes != (codes or found.codes):
                    return None
                if not number and (found.byte != stream.frames_at or not fits(found, stream)):
                    return None
                alike.learn(data, place, found)
                count, codes = found.samples, found.codes
            samples += count
            number += 1
            place += max(1, stream.least_bytes)
        at += max(place, limit - 3) if at + len(data) < end else len(data)
    return samples if samples == stream.samples else None


def _counted(file: BinaryIO, first: int, end: int, name: str) -> Iterator[_Count]:
    count = None
    for at, data, offset, is_stream in _candidates(file, first, end):
        if is_stream:
            if count is not None and at < count.stream.frames_at:
                continue  # within its pictures and comments
            stream = stream_at(file, at)
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
        limit = len(data) if at >= end else len(data) - HEADER_MAX_BYTES
        places = [match.start() for each in (_SYNC, _BEGIN) for match in each.finditer(data)]
        for place in sorted(places):
            if place < limit:
                yield offset + place, data, offset, data[place] != 0xFF
        overlap = data[max(0, limit) :]


def _add(count: _Count, data: bytes, offset: int, at: int) -> None:
    """Take a frame where it is the next one; else note that one may be there."""
    found = frame(data, at, offset)
    if found is None or (count.codes and found.codes != count.codes):
        return
    if count.expected is None and found.byte == count.stream.frames_at:
        count.expected, count.codes = found.number, found.codes  # a live stream begins anywhere
    if found.number == count.expected:
        count.samples += found.samples
        count.expected += found.samples if found.is_variable else 1
        count.last = found
        for stray in count.strays[len(count.followed) :]:
            count.followed[stray.byte] = found.byte
    elif len(count.strays) < MOST_STRAYS:
        count.strays.append(found)
        count.due.append(count.samples)


def _end_sample(found: Frame, stream: Stream) -> int:
    """Samples of the stream up to the end of a frame."""
    start = found.number if found.is_variable else found.number * stream.block
    return start + found.samples


def _checked(file: BinaryIO, count: _Count, name: str) -> _Count:
    """The count, where no frame stands out of its order and none is missing at the end."""
    last, stream = count.last, count.stream
    if last is not None and not fits(last, stream):
        raise damaged(
            name,
            f"its header says {stream.rate_hz} Hz and {stream.channels} channels, its frames "
            f"{last.rate_hz} Hz and {last.channels}",
            byte=count.first,
        )
    rate_hz = max(1, stream.rate_hz)
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
    return not crc16(file.read(stop - start))


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
