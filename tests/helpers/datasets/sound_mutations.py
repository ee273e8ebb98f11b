"""Sound files with flipped, cut, repeated and swapped pieces, and what FFmpeg finds in them."""

import io
from collections.abc import Iterator

import av
import av.logging
import numpy as np
from sound_files import encoded, noise

from shards.audio import decoding
from shards.audio.errors import AudioError

RATE_HZ = 16_000
KINDS = {
    "wav": ("WAV", "PCM_16"), "wav24": ("WAV", "PCM_24"), "wavf": ("WAV", "FLOAT"),
    "wavex": ("WAVEX", "PCM_16"), "rf64": ("RF64", "PCM_16"), "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_16"), "w64": ("W64", "PCM_16"),
}  # fmt: skip
HEADER_BYTES = 300
# Of lossy kinds FFmpeg gives encoder delay and padding that are no sound, and what it makes up of
# the pieces of a frame that was cut.
SLACK = {"mp3": 4 * 1152, "ogg": 8192, "opus": 8192}


def originals() -> dict[str, bytes]:
    """A file of each kind, of mono noise that swells and of stereo noise."""
    found = {}
    for kind, (form, subtype) in KINDS.items():
        for channels in (1, 2):
            rate_hz = 48_000 if kind == "opus" else RATE_HZ
            data = encoded(noise(1.5, rate_hz, channels), rate_hz, form, subtype)
            found[f"{kind}-{channels}"] = data
    return found


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """The file with one to three changes, most of them near its beginning."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = len(changed)
        if size < 16:
            break
        reach = min(size, HEADER_BYTES) if rng.random() < 0.6 else size
        at = int(rng.integers(reach))
        length = int(
            min(rng.integers(1, 64) if rng.random() < 0.7 else rng.integers(1, size), size)
        )
        match rng.integers(6):
            case 0:  # a bit
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:  # some bytes: all zero, all one, or anything
                fill = rng.integers(3)
                piece = rng.bytes(min(length, 8, size - at))
                changed[at : at + len(piece)] = (
                    piece if fill == 2 else (b"\0" if fill == 0 else b"\xff") * len(piece)
                )
            case 2:  # the end is missing
                del changed[max(16, int(rng.integers(size))) :]
            case 3:  # a piece is missing
                del changed[at : at + length]
            case 4:  # a piece comes twice
                changed[at:at] = changed[at : at + length]
            case _:  # two pieces have changed places
                other = int(rng.integers(size))
                length = min(length, abs(other - at), size - max(at, other))
                one, two = changed[at : at + length], changed[other : other + length]
                changed[at : at + length], changed[other : other + length] = two, one
    return bytes(changed)


def mutations(seed: int) -> Iterator[tuple[str, bytes]]:
    """Kinds and files without end, the same for the same seed."""
    rng = np.random.default_rng(seed)
    files = originals()
    names = sorted(files)
    while True:
        name = names[int(rng.integers(len(names)))]
        yield name.partition("-")[0], mutated(files[name], rng)


def ours(data: bytes) -> tuple[int, int] | None:
    """Samples and rate that are read, None where the file is refused; anything else is a fault."""
    try:
        found = decoding.measured(data, "x")
    except AudioError as error:
        assert "\n" not in str(error)
        assert str(error).startswith("x: ")
        return None
    return found.num_samples, found.sample_rate_hz


def by_pyav(data: bytes) -> tuple[int, int] | None:
    """Samples and rate that FFmpeg decodes, however damaged; None where it finds no sound."""
    av.logging.set_level(None)
    count, rate_hz = 0, 0
    try:
        with av.open(io.BytesIO(data), metadata_errors="ignore") as container:
            stream = container.streams.best("audio")
            if stream is None or stream.codec_context is None:
                return None
            stream.codec_context.thread_count = 1
            for packet in container.demux(stream):
                try:
                    for frame in packet.decode():
                        count += frame.samples
                        rate_hz = rate_hz or frame.sample_rate
                except av.FFmpegError:
                    continue
    except (av.FFmpegError, ValueError, MemoryError):
        pass
    return (count, rate_hz) if count else None


def loss(kind: str, data: bytes) -> str | None:
    """What is lost in silence of a file, in words; None where nothing is."""
    read, there = ours(data), by_pyav(data)
    if read is None or there is None:
        return None
    slack = SLACK.get(kind, 0)
    if read[0] / read[1] < (there[0] - slack) / there[1] * 0.98:
        return f"{kind}: {read[0]} samples at {read[1]} Hz, FFmpeg {there[0]} at {there[1]} Hz"
    return None
