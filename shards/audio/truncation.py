"""What the sound-file library does not tell: whether a file was cut short."""

import io
import math
import struct
from typing import BinaryIO

# Programs that write WAV into a pipe put a size just below, or at, 2 or 4 GiB in the header:
# "until the end". Sizes between these are those of long recordings.
STREAMED_WAV_BYTES = (range(0x7FFF0000, 0x80000001), range(0xFFFF0000, 0x100000000))
MP3_SLACK_SAMPLES = 2 * 1152  # encoder delay and padding: two MP3 frames
OGG_PAGE_HEADER_BYTES = 27
OGG_END_OF_STREAM = 4  # a bit of the page header's flags
OGG_PAGE_MAX_BYTES = OGG_PAGE_HEADER_BYTES + 255 + 255 * 255


def what_is_missing(file: BinaryIO) -> str | None:
    """Why the file is known to be cut short, or None.

    libsndfile takes what is there of a WAV or Ogg file for the whole. FLAC and MP3 need no
    check here: decoding them fails, or gives fewer samples than their header promises.
    """
    file.seek(0)
    magic = file.read(4)
    if magic in (b"RIFF", b"RIFX", b"RF64"):
        missing = wav_bytes_missing(file)
        return f"{missing} bytes fewer than its header promises" if missing else None
    if magic == b"OggS" and ogg_ends_early(file):
        return "its last Ogg page is not whole, or not marked as the last"
    return None


def wav_bytes_missing(file: BinaryIO) -> int:
    """How many bytes of a WAV file's data chunk are not there (RIFF, RIFX and RF64)."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    order = ">" if file.read(12)[:4] == b"RIFX" else "<"
    long_size = None
    while len(header := file.read(8)) == 8:
        name, size = header[:4], struct.unpack(f"{order}I", header[4:])[0]
        start = file.tell()
        if name == b"ds64":
            long_size = int.from_bytes(file.read(16)[8:], "little")
        if name == b"data":
            if any(size in placeholders for placeholders in STREAMED_WAV_BYTES):
                size = long_size or 0
            return max(0, start + int(size) - end)
        file.seek(start + size + size % 2)
    return 0


def ogg_ends_early(file: BinaryIO) -> bool:
    """Whether an Ogg file (RFC 3533) stops within a page, or before the page marked as its last."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - OGG_PAGE_MAX_BYTES))
    tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < OGG_PAGE_HEADER_BYTES:
        return True
    is_last = page[5] & OGG_END_OF_STREAM
    segments = page[26]
    table = page[OGG_PAGE_HEADER_BYTES : OGG_PAGE_HEADER_BYTES + segments]
    return not is_last or len(page) < OGG_PAGE_HEADER_BYTES + segments + sum(table)


def mp3_promises_length(file: BinaryIO) -> bool:
    """Whether an MP3's first frame is a Xing/Info header; without one, lengths are estimates."""
    file.seek(0)
    tag = file.read(10)
    if tag[:3] == b"ID3":  # its size is four bytes of seven bits
        size = sum(byte << 7 * place for place, byte in enumerate(reversed(tag[6:10])))
        file.seek(10 + size)
    else:
        file.seek(0)
    frame = file.read(256)
    return b"Xing" in frame or b"Info" in frame


def slack_samples(file: BinaryIO, codec: str) -> float:
    """How many samples fewer than its header says a sound file may hold."""
    if codec != "mp3":
        return 0
    return MP3_SLACK_SAMPLES if mp3_promises_length(file) else math.inf
