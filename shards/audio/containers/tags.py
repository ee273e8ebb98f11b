"""Tags that music programs put around any kind of sound file: ID3v1, ID3v2, APE, Lyrics3."""

import io
from typing import BinaryIO

ID3V2_HEADER_BYTES, ID3V1_BYTES = 10, 128
ID3V1_EXTENDED_BYTES = 227
APE_FOOTER_BYTES = 32
APE_HAS_HEADER = 1 << 31
LYRICS_MAX_BYTES = 5100
LYRICS_END_BYTES = 15  # six digits of size and "LYRICS200"


def sound_bounds(file: BinaryIO) -> tuple[int, int]:
    """`(first, end)`: the bytes of a file without tags before and behind."""
    end = file.seek(0, io.SEEK_END)
    first = after_tags(file, 0, end)
    return first, before_tags(file, first, end)


def after_tags(file: BinaryIO, at: int, end: int) -> int:
    """Where tags that begin at a byte end, with the zeros that some programs leave behind them."""
    begin = at
    while size := _tag_bytes(file, at):
        at = min(end, at + size)
    if at == begin:
        return at
    file.seek(at)
    while at < end:
        block = file.read(min(1 << 16, end - at))
        zeros = len(block) - len(block.lstrip(b"\0"))
        at += zeros
        if zeros < len(block) or not block:
            break
    return at


def before_tags(file: BinaryIO, first: int, end: int) -> int:
    """Where the tags at the end of a file begin."""
    while size := _tag_bytes_before(file, first, end):
        end -= size
    return end


def _tag_bytes(file: BinaryIO, at: int) -> int:
    """The size of the ID3v2 or APE tag at a byte; 0 where there is none."""
    file.seek(at)
    header = file.read(APE_FOOTER_BYTES)
    if header[:3] == b"ID3" and len(header) >= ID3V2_HEADER_BYTES and max(header[6:10]) < 0x80:
        # its size is four bytes of seven bits
        size = sum(byte << 7 * place for place, byte in enumerate(reversed(header[6:10])))
        footer = ID3V2_HEADER_BYTES if header[5] & 0x10 else 0
        return ID3V2_HEADER_BYTES + size + footer
    if header[:8] == b"APETAGEX" and len(header) == APE_FOOTER_BYTES:
        return APE_FOOTER_BYTES + int.from_bytes(header[12:16], "little")
    return 0


def _tag_bytes_before(file: BinaryIO, first: int, end: int) -> int:
    room = end - first
    if room < APE_FOOTER_BYTES:
        return 0
    if room >= ID3V1_BYTES and _read(file, end - ID3V1_BYTES, 3) == b"TAG":
        place = end - ID3V1_BYTES - ID3V1_EXTENDED_BYTES
        extended = place >= first and _read(file, place, 4) == b"TAG+"
        return ID3V1_BYTES + (ID3V1_EXTENDED_BYTES if extended else 0)
    footer = _read(file, end - APE_FOOTER_BYTES, APE_FOOTER_BYTES)
    if footer[:8] == b"APETAGEX":
        flags = int.from_bytes(footer[20:24], "little")
        header = APE_FOOTER_BYTES if flags & APE_HAS_HEADER else 0
        return _within(int.from_bytes(footer[12:16], "little") + header, room)
    if footer.endswith(b"LYRICS200") and footer[-LYRICS_END_BYTES:-9].isdigit():
        return _within(int(footer[-LYRICS_END_BYTES:-9]) + LYRICS_END_BYTES, room)
    if footer.endswith(b"LYRICSEND"):
        start = max(first, end - LYRICS_MAX_BYTES)
        place = _read(file, start, end - start).rfind(b"LYRICSBEGIN")
        return end - start - place if place >= 0 else 0
    if footer[-10:-7] == b"3DI":  # the footer of an ID3v2 tag at the end
        size = sum(byte << 7 * place for place, byte in enumerate(reversed(footer[-4:])))
        return _within(size + 2 * ID3V2_HEADER_BYTES, room)
    return 0


def _within(size: int, room: int) -> int:
    """A tag's size, or 0 where it cannot be: then it is no tag."""
    return size if size <= room else 0


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)
