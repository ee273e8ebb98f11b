"""Headers in a FLAC file (RFC 9639, sections 8 and 9): of a stream, and of each frame."""

from typing import BinaryIO, NamedTuple

MARK = b"fLaC"
STREAM_INFO_BYTES = 34
HEADER_MAX_BYTES = 16  # of a frame
_BLOCK_SIZES = {1: 192, **{code: 576 << code - 2 for code in range(2, 6)},
                **{code: 256 << code - 8 for code in range(8, 16)}}  # fmt: skip
_RATE_BYTES = {12: 1, 13: 2, 14: 2}
_RATE_UNITS_HZ = {12: 1000, 13: 1, 14: 10}  # of the number behind such a code
_RATES_HZ = {
    1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000,
    9: 44_100, 10: 48_000, 11: 96_000,
}  # fmt: skip


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
    channels: int
    samples: int  # 0: not known when it was written
    block: int  # samples of each frame but the last, where they are equal
    frames_at: int
    least_bytes: int  # of a frame; 0: not known


class Frame(NamedTuple):
    """A frame's header."""

    byte: int
    number: int  # of the frame, or of its first sample where frames differ in size
    samples: int
    is_variable: bool
    codes: bytes  # rate, channels and bits, which are those of the whole stream
    rate_hz: int  # 0: not told
    channels: int


def stream_at(file: BinaryIO, at: int) -> Stream | None:
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
    return Stream(
        rest >> 44,
        (rest >> 41 & 7) + 1,
        rest & (1 << 36) - 1,
        block,
        position,
        int.from_bytes(info[4:7], "big"),
    )


def frame(data: bytes, at: int, offset: int) -> Frame | None:
    """The frame header at a place, or None where there is none; data begin at byte `offset`."""
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
    rate_hz, width = _RATES_HZ.get(rate_code, 0), _RATE_BYTES.get(rate_code, 0)
    if width:
        rate_hz = int.from_bytes(data[place : place + width], "big") * _RATE_UNITS_HZ[rate_code]
        place += width
    if place >= len(data) or crc8(data[at:place]) != data[place]:
        return None
    channels = (data[at + 3] >> 4) + 1
    if channels > 8:  # two channels, one of them as a difference: chosen for each frame
        channels = 2
    codes = bytes((rate_code, channels, data[at + 3] & 15, data[at + 1]))
    is_variable = bool(data[at + 1] & 1)
    return Frame(offset + at, number, samples, is_variable, codes, rate_hz, channels)


def fits(found: Frame, stream: Stream) -> bool:
    """Whether a frame has the rate and the channels that its stream's header says."""
    return found.rate_hz in (0, stream.rate_hz) and found.channels == stream.channels


class Alike:
    """Headers that differ from one of the same stream in their number alone: most of all.

    They are told at a fifth of the cost of `frame`: what stands in front of the number is known
    with what it adds to the checksum.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, int]] = {}  # first 4 bytes: their checksum, samples

    def learn(self, data: bytes, at: int, found: Frame) -> None:
        """Take a header, unless its length or rate stands behind the number."""
        head = data[at : at + 4]
        if not found.is_variable and head[2] >> 4 not in (6, 7) and head[2] & 15 not in _RATE_BYTES:
            self._known[head] = crc8(head), found.samples

    def samples(self, data: bytes, at: int, number: int) -> int:
        """Of the frame of that number at a place; 0 where `frame` has to look."""
        head = self._known.get(data[at : at + 4])
        if head is None or number > 0x10FFFF:
            return 0
        check, samples = head
        coded = chr(number).encode("utf-8", "surrogatepass")
        place = at + 4
        if not data.startswith(coded, place):
            return 0
        for byte in coded:
            check = _CRC8[check ^ byte]
        place += len(coded)
        return samples if place < len(data) and data[place] == check else 0


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


def crc8(data: bytes) -> int:
    """The checksum of a header."""
    value = 0
    for byte in data:
        value = _CRC8[value ^ byte]
    return value


def crc16(data: bytes) -> int:
    """The checksum of a frame; 0 of one whose own checksum is right and stands at its end."""
    value = 0
    for byte in data:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value
