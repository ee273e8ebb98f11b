"""The headers of Xing, Info or VBRI that stand in an MP3's first frame, and LAME's note in them."""

from typing import NamedTuple

DECODER_DELAY = 529  # samples that every decoder of layer III adds in front
# Samples that encoders add at either end: two frames at most. More is believed where the note's own
# checksum is right.
TRIM_PLAUSIBLE = 2 * 1152
LAME_CRC_AT = 34  # bytes behind the beginning of LAME's note


class Info(NamedTuple):
    """A Xing, Info or VBRI header."""

    frames: int | None
    size: int | None  # of all frames, in bytes
    delay: int = 0
    padding: int = 0
    doubted: int | None = None  # byte in the frame of LAME's note, where that is damaged


def info_in(frame: bytes, at: int) -> Info | None:
    """What the header in a frame of layer III says; None where there is none.

    Args:
        frame: all its bytes.
        at: where a Xing or Info header would begin.
    """
    if frame[36:40] == b"VBRI":
        return Info(int.from_bytes(frame[50:54], "big"), int.from_bytes(frame[46:50], "big"))
    if frame[at : at + 4] not in (b"Xing", b"Info"):
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    at += 8
    frames = size = None
    if flags & 1:
        frames, at = int.from_bytes(frame[at : at + 4], "big"), at + 4
    if flags & 2:
        size, at = int.from_bytes(frame[at : at + 4], "big"), at + 4
    at += (100 if flags & 4 else 0) + (4 if flags & 8 else 0)
    if not frame[at : at + 4].strip(b"\0"):
        return Info(frames, size)
    # LAME's note, also written by others
    both = int.from_bytes(frame[at + 21 : at + 24], "big")
    delay, padding = both >> 12, both & 0xFFF
    if max(delay, padding) > TRIM_PLAUSIBLE and not _has_its_checksum(frame, at + LAME_CRC_AT):
        return Info(frames, size, doubted=at)
    return Info(frames, size, delay + DECODER_DELAY, max(0, padding - DECODER_DELAY))


def may_be_info(frame: bytes) -> bool:
    """Whether a frame may hold such a header, told quickly."""
    start = frame[:42]
    return b"Xing" in start or b"Info" in start or b"VBRI" in start


def _has_its_checksum(frame: bytes, at: int) -> bool:
    """Whether the two bytes there are the checksum (CRC-16/ARC) of all before them."""
    value = 0
    for byte in frame[:at]:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return frame[at : at + 2] == value.to_bytes(2, "big")
