"""Ogg (RFC 3533): every page's number and checksum, and where streams follow one another."""

from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple

from isal import isal_zlib

from shards.audio.containers import tags
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import damaged, truncated

MARK = b"OggS"
HEADER_BYTES = 27
CONTINUED, BEGINS, ENDS = 1, 2, 4  # bits of a page's flags
READ_BYTES = 1 << 20
NO_POSITION = (1 << 64) - 1  # of a page on which no packet ends
OPUS_RATE_HZ = 48_000
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # bits of each byte


class Page(NamedTuple):
    """A page's header, and where the page lies."""

    byte: int
    size: int
    flags: int
    position: int  # samples up to its end, for audio
    serial: int
    number: int
    is_intact: bool
    start: bytes  # of its data


@dataclass
class _Link:
    """Streams that begin together: one, unless there is video too."""

    first: int
    end: int = 0
    next_number: dict[int, int] = field(default_factory=dict)  # by serial number
    ended: set[int] = field(default_factory=set)
    has_data: bool = False
    rate_hz: int | None = None
    position: int = 0


def ogg(file: BinaryIO, first: int, end: int, name: str) -> tuple[list[Piece], bool]:
    """The links of an Ogg file that begins at a byte, and whether each is one stream alone.

    Raises:
        AudioError: a page is missing, damaged or cut short.
    """
    pages = _Pages(file, end)
    links: list[_Link] = []
    at = first
    while at < end:
        page = pages.at(at)
        if page is None:
            if at >= tags.before_tags(file, first, end):
                break
            raise _broken(pages, links, at, end, name)
        _add(links, page, name)
        at += page.size
        links[-1].end = at
    for link in links:
        if link.next_number.keys() - link.ended:
            raise truncated(
                name, f"its last Ogg page is not marked as the last, at byte {link.end}"
            )
    is_plain = all(len(link.next_number) == 1 for link in links)
    if len(links) == 1 and first == 0:
        return [Piece(file, None, 0)], is_plain
    return [
        Piece(spliced(file, Part(link.first, link.end - link.first)), None, link.first)
        for link in links
    ], is_plain


def _broken(pages: "_Pages", links: list[_Link], at: int, end: int, name: str) -> Exception:
    """What lies at a byte where a page is due."""
    following = pages.next_from(at + 1)
    if following is None and links and pages.may_begin(at):
        return truncated(name, f"its last Ogg page is not whole, at byte {at}")
    size = (end if following is None else following) - at
    where = "behind its last Ogg page" if following is None else "between Ogg pages"
    what = f"{size} bytes {where} that are none"
    return damaged(name, what if links else "no Ogg page", byte=at, second=_second(links))


def _second(links: list[_Link]) -> float | None:
    """How much sound lies before."""
    if not links or not links[-1].rate_hz:
        return None
    return sum(link.position / link.rate_hz for link in links if link.rate_hz)


def _add(links: list[_Link], page: Page, name: str) -> None:
    """Check a page and note it."""
    second = _second(links)
    if not page.is_intact:
        what = "its Ogg page does not match its checksum"
        raise damaged(name, what, byte=page.byte, second=second)
    if page.flags & BEGINS and (not links or links[-1].has_data):
        links.append(_Link(first=page.byte))
    if not links:
        raise damaged(name, "an Ogg page of a stream that does not begin", byte=page.byte)
    link = links[-1]
    if page.flags & BEGINS:
        link.next_number[page.serial] = page.number
        link.rate_hz = link.rate_hz or _rate_hz(page.start)
    else:
        link.has_data = True
    due = link.next_number.get(page.serial)
    if due != page.number:
        what = f"Ogg page {page.number} where {'none' if due is None else due} is due"
        raise damaged(name, what, byte=page.byte, second=second)
    link.next_number[page.serial] = page.number + 1 & 0xFFFFFFFF
    if page.flags & ENDS:
        link.ended.add(page.serial)
    if page.position != NO_POSITION:
        link.position = page.position


def _rate_hz(start: bytes) -> int | None:
    """The rate of positions, as the first page of a stream tells it."""
    if start.startswith(b"\x01vorbis"):
        return int.from_bytes(start[12:16], "little")
    return OPUS_RATE_HZ if start.startswith(b"OpusHead") else None


class _Pages:
    """Pages by where they begin, from a file that is read in large blocks."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end
        self._data, self._offset = b"", 0

    def at(self, byte: int) -> Page | None:
        """The page that begins at a byte; None where none does, or it is not whole."""
        head = self._read(byte, HEADER_BYTES + 255)
        if head[:4] != MARK or len(head) < HEADER_BYTES:
            return None
        segments = head[26]
        size = HEADER_BYTES + segments + sum(head[HEADER_BYTES : HEADER_BYTES + segments])
        data = self._read(byte, size)
        if len(data) < size:
            return None
        begin = HEADER_BYTES + segments
        return Page(
            byte=byte,
            size=size,
            flags=data[5],
            position=int.from_bytes(data[6:14], "little"),
            serial=int.from_bytes(data[14:18], "little"),
            number=int.from_bytes(data[18:22], "little"),
            is_intact=_checksum(data) == int.from_bytes(data[22:26], "little"),
            start=data[begin : begin + 32],
        )

    def may_begin(self, byte: int) -> bool:
        """Whether a page begins at a byte, or the file ends within its mark."""
        start = self._read(byte, len(MARK))
        return MARK.startswith(start)

    def next_from(self, byte: int) -> int | None:
        """Where the next whole page begins; None where there is none."""
        while byte < self._end:
            block = self._read(byte, READ_BYTES)
            place = block.find(MARK)
            if place < 0:
                byte += max(1, len(block) - len(MARK) + 1)
                continue
            page = self.at(byte + place)
            if page is not None and page.is_intact:
                return byte + place
            byte += place + 1
        return None

    def _read(self, byte: int, size: int) -> bytes:
        size = min(size, self._end - byte)
        if not self._offset <= byte <= byte + size <= self._offset + len(self._data):
            self._file.seek(byte)
            self._data = self._file.read(max(size, READ_BYTES))
            self._offset = byte
        start = byte - self._offset
        return self._data[start : start + size]


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32, whose bits come in the other order than zlib's; nothing is inverted."""
    blank = page[:22] + bytes(4) + page[26:]
    crc = isal_zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
