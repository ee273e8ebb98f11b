"""What a file is that no decoder takes for sound, told by its first bytes."""

import io
from typing import BinaryIO

START_BYTES = 1 << 12
SHOWN_BYTES = 8
MARKS = (
    (b"PK\x03\x04", "a ZIP archive (or an office document); unpack it"),
    (b"%PDF", "a PDF document; leave it out"),
    (b"\x89PNG", "a picture (PNG); leave it out"),
    (b"\xff\xd8\xff", "a picture (JPEG); leave it out"),
    (b"GIF8", "a picture (GIF); leave it out"),
    (b"\x1f\x8b", "compressed by gzip; unpack it"),
    (b"BZh", "compressed by bzip2; unpack it"),
    (b"\xfd7zXZ", "compressed by xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS; get the file itself with `git lfs pull`"),
)
PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")


def looks_like(file: BinaryIO) -> str:
    """What a file is and what to do, as the end of a sentence `it is ...`."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(START_BYTES)
    for mark, what in MARKS:
        if start.startswith(mark):
            return what
    if not start.strip(b"\0"):
        if end > len(start):
            return f"zeros at its beginning ({len(start)} bytes or more); copy it again"
        return f"nothing but zeros ({end} bytes); copy it again from its source"
    text = start.removeprefix(b"\xef\xbb\xbf").strip()
    if text[:64].lower().startswith(PAGES) or b"<html" in text[:1024].lower():
        return "a web page (HTML), such as servers send for a failed download; download it again"
    if _is_text(start):
        return f"text, beginning with {_shown(text)!r}; leave it out, or get the recording again"
    return (
        f"of a kind that is not known, beginning with the bytes {start[:SHOWN_BYTES].hex(' ')}; "
        "convert it to WAV or FLAC with the program that wrote it, or leave it out"
    )


def _is_text(start: bytes) -> bool:
    """Whether these are characters, the last of which may be cut."""
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        if len(start) < START_BYTES or error.start < len(start) - 3:
            return False
        text = start[: error.start].decode()
    return all(each.isprintable() or each in "\t\r\n\f" for each in text.removeprefix("\ufeff"))


def _shown(text: bytes) -> str:
    return " ".join(text.decode(errors="ignore").split())[:24]
