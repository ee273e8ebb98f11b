"""Files that FFmpeg decodes: whether as many bytes are there as their headers promise."""

from typing import BinaryIO

from shards.audio.containers import caf, pcm_files
from shards.audio.containers.splice import Part
from shards.audio.errors import damaged, truncated

MATROSKA, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
MARKS = (MATROSKA, ASF[:8], b"RIFF", b"caff", b"FLV", b".RMF")
MP4_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")


def is_container(start: bytes) -> bool:
    """Whether a file with these first bytes holds streams, MP3 frames perhaps, and is no MP3."""
    return start[4:8] in MP4_FIRST or start.startswith(MARKS)


def kept(file: BinaryIO, first: int, end: int, name: str) -> tuple[bytes | Part, ...]:
    """Compare sizes in headers with the file's end; nothing is known of files of other kinds.

    Returns what decoders read: the bytes `[first, end)`, with sizes put in where they were open.

    Raises:
        AudioError: the file is cut short.
    """
    file.seek(first)
    start = file.read(32)
    if start[4:8] in MP4_FIRST:
        _mp4(file, first, end, name)
    elif start[:4] == MATROSKA:
        _matroska(file, first, end, name)
    elif start[:16] == ASF:
        _asf(file, first, end, name)
    elif start[:4] == b"RIFF":
        _missing(end, first + 8 + int.from_bytes(start[4:8], "little"), name)  # AVI
    elif start[:4] == b"caff":
        return caf.caf(file, first, end, name)
    elif start[:4] == pcm_files.AU:
        return pcm_files.au(file, first, end, name)
    elif start[:20] == pcm_files.VOC:
        pcm_files.voc(file, first, end, name)
    elif start[:8] == pcm_files.SPHERE:
        pcm_files.sphere(file, first, end, name)
    return (Part(first, end - first),)


def _missing(end: int, promised: int, name: str) -> None:
    if promised > end:
        raise truncated(name, f"{promised - end} bytes fewer than its header promises")


def _mp4(file: BinaryIO, at: int, end: int, name: str) -> None:
    """Boxes follow one another to the end of the file (ISO/IEC 14496-12)."""
    names: set[bytes] = set()
    while at + 8 <= end:
        file.seek(at)
        header = file.read(16)
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        elif size == 0:  # up to the end
            size = end - at
        if size < 8 or not all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind):
            if {b"moov", b"mdat"} <= names or b"moof" in names:
                return  # something that other programs left behind the sound
            raise damaged(name, "no MP4 box", byte=at)
        names.add(kind)
        _missing(end, at + size, name)
        at += size
    if b"moov" not in names:
        raise truncated(name, "it has no index (moov): its recorder did not finish it")


def _matroska(file: BinaryIO, at: int, end: int, name: str) -> None:
    """The size of the segment, which live recordings leave open (RFC 8794)."""
    file.seek(at)
    head = file.read(1 << 12)
    place = head.find(SEGMENT)
    if place < 0:
        return
    place += len(SEGMENT)
    lead = head[place] if place < len(head) else 0
    width = 9 - lead.bit_length()
    size = int.from_bytes(head[place : place + width], "big") & ((1 << 7 * width) - 1)
    if lead and size != (1 << 7 * width) - 1:
        _missing(end, at + place + width + size, name)


def _asf(file: BinaryIO, at: int, end: int, name: str) -> None:
    """The file's size in its properties, which recordings that did not end leave at 0."""
    file.seek(at)
    head = file.read(1 << 16)
    place = head.find(ASF_FILE)
    if place >= 0:
        size = int.from_bytes(head[place + 40 : place + 48], "little")
        is_live = head[place + 88 : place + 89] and head[place + 88] & 1
        if not is_live:
            _missing(end, at + size, name)
