"""AU, VOC and NIST SPHERE: short headers, whose decoders read what is there without a word."""

from typing import BinaryIO

from shards.audio.containers.splice import Part
from shards.audio.errors import damaged, truncated

AU, VOC, SPHERE = b".snd", b"Creative Voice File\x1a", b"NIST_1A\n"
AU_OPEN = 0xFFFFFFFF  # size of sound that was written into a pipe
VOC_BLOCKS = range(1, 10)
SPHERE_MOST_HEADER_BYTES = 1 << 16


def au(file: BinaryIO, first: int, end: int, name: str) -> tuple[bytes | Part, ...]:
    """The bytes that a decoder reads; a size that was never written (0) is put in.

    Raises:
        AudioError: the file is cut short.
    """
    file.seek(first)
    header = file.read(12)
    start, size = int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big")
    room = end - first - start
    if size == 0 and room > 0:
        return Part(first, 8), AU_OPEN.to_bytes(4, "big"), Part(first + 12, end - first - 12)
    if size not in (0, AU_OPEN) and size > room:
        raise truncated(name, f"{size - room} bytes fewer than its header promises")
    return (Part(first, end - first),)


def voc(file: BinaryIO, first: int, end: int, name: str) -> None:
    """Follow the blocks to the end of the file; a block of kind 0 ends them.

    Raises:
        AudioError: the file is cut short, or the size of a block is not true.
    """
    file.seek(first + 20)
    at = first + int.from_bytes(file.read(2), "little")
    while at < end:
        file.seek(at)
        header = file.read(4)
        if not header[0]:
            if end - at > 4:
                raise damaged(name, f"its blocks end {end - at - 1} bytes before it", byte=at)
            return
        if header[0] not in VOC_BLOCKS:
            raise damaged(name, "no VOC block; the size of the one before is not true", byte=at)
        size = int.from_bytes(header[1:], "little")
        if at + 4 + size > end:
            what = f"{at + 4 + size - end} bytes fewer than its header promises"
            raise truncated(name, what)
        at += 4 + size


def sphere(file: BinaryIO, first: int, end: int, name: str) -> None:
    """Compare the counts in a header of text, where sound is not compressed, with the file's size.

    Raises:
        AudioError: the file is cut short.
    """
    file.seek(first + len(SPHERE))
    start = int(digits) if (digits := file.read(8).strip()).isdigit() else 0
    file.seek(first)
    lines = file.read(min(start, SPHERE_MOST_HEADER_BYTES)).decode("ascii", "replace").splitlines()
    fields = dict(parts[::2] for line in lines if len(parts := line.split(maxsplit=2)) == 3)
    if "," in fields.get("sample_coding", ""):  # pcm,embedded-shorten-v1.09
        return
    counts = [fields.get(key, "1") for key in ("sample_count", "channel_count", "sample_n_bytes")]
    if "sample_count" not in fields or not all(count.isdigit() for count in counts):
        return
    samples, channels, width = map(int, counts)
    missing = first + start + samples * channels * width - end
    if missing > 0:
        raise truncated(name, f"{missing} bytes fewer than its header promises")
