"""MPEG audio (MP3): frames counted by their headers, since no header tells the file's length."""

from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from shards.audio.containers import tags
from shards.audio.containers.mp3_info import info_in, may_be_info
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import AudioError, damaged, truncated

READ_BYTES = 1 << 20
HEADER_BYTES = 4
FRAMES_IN_A_ROW = 4  # are no chance
SYNC = 0x7FF  # the first bits of a frame
KIND_BITS = 0x1EFEC0  # version, layer, bit rate, sample rate, padding and channels
SAME_BITS = 0xFFFE0C00  # sync, version, layer and sample rate: equal in all frames of a stream
FRAME_MAX_BYTES = 2881  # layer II, 384 kbit/s at 32 kHz with padding is 1729; room for MPEG 2.5
BYTES_OFF = 0.01  # share of the size in the Xing header beyond which decoders begin to doubt it
_KBITS = {  # by (is MPEG 1, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


class Kind(NamedTuple):
    """What the first bytes of a frame say of it."""

    size: int
    samples: int
    rate_hz: int
    channels: int
    layer: int
    side_bytes: int  # before a Xing header, if there is one


def _kind(key: int) -> Kind | None:
    """The kind of a header, of which `key` is the bits that tell it."""
    version, layer_code = key >> 19 & 3, key >> 17 & 3
    bits, rate_code, padding = key >> 12 & 15, key >> 10 & 3, key >> 9 & 1
    if version == 1 or not layer_code or bits in (0, 15) or rate_code == 3:
        return None
    layer, is_first = 4 - layer_code, version == 3
    rate_hz = _RATES_HZ[version][rate_code]
    kbits = _KBITS[is_first, layer if is_first or layer == 1 else 2][bits - 1]
    if layer == 1:
        samples, size = 384, (12_000 * kbits // rate_hz + padding) * 4
    else:
        samples = 1152 if layer == 2 or is_first else 576
        size = samples // 8 * kbits * 1000 // rate_hz + padding
    channels = 1 if key >> 6 & 3 == 3 else 2
    side = (17 if channels == 1 else 32) if is_first else (9 if channels == 1 else 17)
    return Kind(size, samples, rate_hz, channels, layer, side)


@dataclass
class Scan:
    """The frames of an MP3, without those that hold no sound."""

    frames: int = 0
    samples: int = 0
    rate_hz: int = 0
    layer: int = 3
    parts: list[Part] = field(default_factory=list)  # with sound, neighbours joined
    said_frames: int | None = None  # in the first Xing, Info or VBRI header
    said_bytes: int | None = None
    delay: int = 0  # samples at both ends that the encoder added, as LAME notes them
    padding: int = 0
    info: Part | None = None  # the frame of that header
    doubted: int | None = (
        None  # byte of LAME's note in it, where what it takes away is not believed
    )
    is_joined: bool = False  # such a header comes again
    is_cut: bool = False  # the last frame is not whole


def mp3(
    file: BinaryIO, first: int, end: int, name: str, *, is_whole_file: bool = True
) -> tuple[list[Piece], bool]:
    """An MP3 stream in the bytes `[first, end)`, and whether libsndfile finds all of it.

    libsndfile (mpg123) takes the length from the Xing or Info header, or an estimate without one.

    Raises:
        AudioError: bytes between frames that are no sound, or fewer frames than promised.
    """
    scan = scanned(file, first, end, name)
    if not scan.frames:
        raise AudioError(f"{name}: cannot be read as audio (no MP3 frame in it)")
    is_one = scan.info is not None and scan.said_frames is not None and not scan.is_joined
    # some encoders count the header's own frame
    if is_one and (scan.said_frames or 0) > scan.frames + (not scan.is_cut):
        raise truncated(
            name,
            f"got {scan.frames} MP3 frames, {scan.samples / scan.rate_hz:.3f} s up to byte {end}, "
            f"where its header promises {scan.said_frames}",
        )
    if scan.doubted is not None:
        file = _without_note(file, scan.doubted, end)
    if scan.info is None or not is_one or scan.said_frames != scan.frames:
        # without such a header, a decoder gives the samples of every frame
        return [Piece(spliced(file, *scan.parts), scan.samples, first)], False
    if is_whole_file and _agree(scan) and len(scan.parts) == 1:
        trimmed = max(1, scan.samples - scan.delay - scan.padding)
        if not scan.info.offset:
            return [Piece(file, trimmed, 0)], True
        return [Piece(spliced(file, scan.info, *scan.parts), trimmed, scan.info.offset)], True
    return [Piece(spliced(file, scan.info, *scan.parts), None, first)], False


def _without_note(file: BinaryIO, at: int, end: int) -> BinaryIO:
    """The same bytes with LAME's note taken out: decoders would take sound away as it says."""
    return spliced(file, Part(0, at), bytes(4), Part(at + 4, end - at - 4))


def begins_near(file: BinaryIO, first: int, end: int) -> bool:
    """Whether frames begin behind the rest of one: a stream that was recorded from its middle."""
    at = _resynchronised(file, first, min(end, first + FRAME_MAX_BYTES), None)
    return _row_at(file, at, end) is not None


def _row_at(file: BinaryIO, at: int, end: int) -> Kind | None:
    """The kind of the last of some frames in a row from a byte on; None where they are none."""
    kind = None
    for _ in range(FRAMES_IN_A_ROW):
        file.seek(at)
        header = int.from_bytes(file.read(HEADER_BYTES), "big")
        kind = _kind(header & KIND_BITS) if header >> 21 == SYNC else None
        if kind is None or at >= end:
            return None
        at += kind.size
    return kind


def _agree(scan: Scan) -> bool:
    """Whether the Xing header's size is that of the frames."""
    if scan.said_bytes is None or scan.info is None:
        return True
    held = scan.info.size + sum(part.size for part in scan.parts)
    return abs(held - scan.said_bytes) <= BYTES_OFF * held


def scanned(file: BinaryIO, first: int, end: int, name: str) -> Scan:
    """All frames of the bytes `[first, end)`, one after another."""
    scan, kinds = Scan(), dict[int, Kind | None]()
    data, offset, at = b"", first, first
    first_key: int | None = None
    while at < end:
        if at + FRAME_MAX_BYTES > offset + len(data) < end:
            file.seek(at)
            data, offset = file.read(min(READ_BYTES, end - at)), at
        place = at - offset
        header = int.from_bytes(data[place : place + HEADER_BYTES], "big")
        key = header & KIND_BITS
        kind = None
        if header >> 21 == SYNC and at + HEADER_BYTES <= end:
            if key not in kinds:
                kinds[key] = _kind(key)
            kind = kinds[key]
        if kind is not None and first_key is not None and not _same(header, first_key):
            kind = None
        if kind is None or (not scan.frames and not _goes_on(file, at, end, kind, header)):
            at = _next_frame(file, at, end, scan, first_key, name)
            data, offset = b"", at
            continue
        if at + kind.size > end:
            scan.is_cut = True  # what is before it is whole
            break
        first_key = header if first_key is None else first_key
        _take(scan, kind, at, data[place : place + kind.size])
        at += kind.size
    return scan


def _same(header: int, other: int) -> bool:
    """Whether version, layer and rate are equal, as in all frames of a stream."""
    return (header ^ other) & SAME_BITS == 0


def _take(scan: Scan, kind: Kind, at: int, frame: bytes) -> None:
    """Note a frame with sound, or the header that stands in one without."""
    said = None
    if kind.layer == 3 and (not scan.frames or may_be_info(frame)):
        said = info_in(frame, HEADER_BYTES + kind.side_bytes)
    if said is not None:
        if scan.frames or scan.info is not None:
            scan.is_joined = True
        else:
            scan.info = Part(at, kind.size)
            scan.said_frames, scan.said_bytes, scan.delay, scan.padding, place = said
            scan.doubted = None if place is None else at + place
        return
    scan.rate_hz, scan.layer = kind.rate_hz, kind.layer
    scan.frames += 1
    scan.samples += kind.samples
    if scan.parts and scan.parts[-1].offset + scan.parts[-1].size == at:
        scan.parts[-1] = Part(scan.parts[-1].offset, scan.parts[-1].size + kind.size)
    else:
        scan.parts.append(Part(at, kind.size))


def _goes_on(file: BinaryIO, at: int, end: int, kind: Kind, header: int) -> bool:
    """Whether a frame of the same kind, a tag or the end follows: else it only looks like one."""
    after = at + kind.size
    if after >= end:
        return after == end
    file.seek(after)
    following = file.read(HEADER_BYTES)
    if len(following) < HEADER_BYTES or following[:3] in (b"ID3", b"TAG", b"APE"):
        return True
    return _same(int.from_bytes(following, "big"), header)


def _next_frame(
    file: BinaryIO, at: int, end: int, scan: Scan, first_key: int | None, name: str
) -> int:
    """Where frames go on behind a tag, or the end; anything else between them is damage."""
    after = tags.after_tags(file, at, end)
    if after > at:
        return after
    if at >= tags.before_tags(file, at, end) or _is_zero(file, at, end):
        return end
    found = _resynchronised(file, at, end, first_key)
    begun = bool(scan.frames or scan.info is not None)
    # A stream that was recorded begins, and ends, within a frame.
    if found - at <= FRAME_MAX_BYTES and (not begun or found >= end):
        return found
    if begun and (other := _row_at(file, at, end)) is not None:
        raise AudioError(
            f"{name}: joined of recordings with {scan.rate_hz} Hz (MPEG layer {scan.layer}) and, "
            f"from byte {at} on, {other.rate_hz} Hz (layer {other.layer}); split it there, or "
            "convert it"
        )
    what = f"{found - at} bytes that are no MP3 frame"
    second = scan.samples / scan.rate_hz if scan.rate_hz else 0.0
    raise damaged(name, what, byte=at, second=second)


def _is_zero(file: BinaryIO, at: int, end: int) -> bool:
    """Whether nothing but zeros follows."""
    file.seek(at)
    while at < end and (block := file.read(min(READ_BYTES, end - at))):
        if block.strip(b"\0"):
            return False
        at += len(block)
    return True


def _resynchronised(file: BinaryIO, at: int, end: int, first_key: int | None) -> int:
    """Where the next two frames in a row begin, or the end."""
    place = at + 1
    while place < end:
        file.seek(place)
        block = file.read(min(READ_BYTES, end - place))
        found = block.find(b"\xff")
        if found < 0 or not block:
            place += max(1, len(block))
            continue
        while found >= 0:
            header = int.from_bytes(block[found : found + HEADER_BYTES], "big")
            kind = _kind(header & KIND_BITS) if header >> 21 == SYNC else None
            if (
                kind is not None
                and (first_key is None or _same(header, first_key))
                and _goes_on(file, place + found, end, kind, header)
            ):
                return place + found
            found = block.find(b"\xff", found + 1)
        place += max(1, len(block) - HEADER_BYTES + 1)
    return end
