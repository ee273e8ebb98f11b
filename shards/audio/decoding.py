"""Audio bytes to float32 mono waveforms; a doubtful file is an error, never a guess."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from shards.audio import truncation
from shards.errors import ShardsError, naming

Samples = npt.NDArray[np.float32]

AUDIO_SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
CODECS = {"FLAC": "flac", "MP3": "mp3", "OGG": "ogg", "RF64": "wav", "WAV": "wav", "WAVEX": "wav"}
MIN_RATE_HZ, MAX_RATE_HZ = 100, 1_000_000  # from infrasound to the fastest bat recorders
MAX_SAMPLES = 1 << 40  # more than a year at 32 kHz: such a header is damaged, or holds no length
READ_SAMPLES = 1 << 16  # samples of all channels that are decoded at a time


class AudioError(ShardsError, ValueError):
    """Audio that cannot be used; the message is one line and names the file."""


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What an audio file's header says.

    `num_samples` counts per channel and is exact, but for an MP3 without a Xing/Info header:
    there it is the decoder's estimate.
    """

    codec: str  # flac | mp3 | ogg | wav
    sample_rate_hz: int
    num_samples: int
    channels: int


def probe(data: bytes | BinaryIO, name: str) -> AudioInfo:
    """Read the header alone; `name` is what errors call the file."""
    with _opened(_as_file(data), name) as (_, info):
        return info


def fits_16_bits(file: BinaryIO, name: str) -> bool:
    """Whether the header alone says that 16 bits hold every sample of the mono mix."""
    with _opened(file, name) as (opened, info):
        return info.channels == 1 and opened.subtype in ("PCM_U8", "PCM_S8", "PCM_16")


def steps_16_bits(file: BinaryIO, name: str) -> Iterator[npt.NDArray[np.int16]]:
    """The samples of a file that `fits_16_bits`, as integers; raises what `decode` raises."""
    with _opened(file, name) as (opened, info):
        for part in _raw_parts(opened, info, name, "int16"):
            yield part[:, 0]


def decode(data: bytes, name: str, *, sample_rate_hz: int | None = None) -> Samples:
    """A whole file as float32 mono `(samples,)`, channels averaged, at the asked rate if any.

    Raises `AudioError` for what cannot be read, is shorter than its header says, has no
    samples, or has samples that are not finite.
    """
    with _opened(io.BytesIO(data), name) as (file, info):
        return np.concatenate(list(_parts(file, info, name, sample_rate_hz)))


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Band-limited resampling of `(samples,)` to `round(samples * to_hz / from_hz)` samples."""
    if from_hz == to_hz:
        return samples
    _check_rate(to_hz, "resample")
    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def blocks(
    file: str | Path | BinaryIO, name: str, *, sample_rate_hz: int, block_s: float
) -> Iterator[Samples]:
    """Decode a file of any length in bounded memory.

    Yields float32 mono blocks of `round(block_s * sample_rate_hz)` samples, the last one
    shorter. Joined they are, bit for bit, what `decode` returns; it raises what `decode` raises.
    """
    size = round(block_s * sample_rate_hz)
    if size < 1:
        raise AudioError(f"{name}: got blocks of {block_s} s; expected one sample or more")
    with contextlib.ExitStack() as stack:
        if isinstance(file, str | Path):
            with naming(file):
                file = stack.enter_context(Path(file).open("rb"))
        opened, info = stack.enter_context(_opened(file, name))
        yield from _regrouped(_parts(opened, info, name, sample_rate_hz), size)


def _as_file(data: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data


@contextlib.contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[tuple[sf.SoundFile, AudioInfo]]:
    """The opened file and its checked header."""
    if file.seek(0, io.SEEK_END) == 0:
        raise AudioError(f"{name}: got an empty file (0 bytes); copy it again or remove it")
    if missing := truncation.what_is_missing(file):
        raise AudioError(f"{name}: truncated ({missing}); copy it again or remove it")
    file.seek(0)
    try:
        opened = sf.SoundFile(file)
    except (sf.SoundFileError, TypeError) as error:
        raise AudioError(
            f"{name}: cannot be read as audio ({one_line(error)}); expected one of "
            f"{', '.join(sorted(set(CODECS.values())))}: convert it, or remove it"
        ) from error
    with opened:
        yield opened, _checked(opened, name)


def _checked(opened: sf.SoundFile, name: str) -> AudioInfo:
    if opened.format not in CODECS:
        raise AudioError(
            f"{name}: got {opened.format} audio; expected one of "
            f"{', '.join(sorted(set(CODECS.values())))}: convert it"
        )
    _check_rate(opened.samplerate, name)
    if opened.frames == 0:
        raise AudioError(f"{name}: got zero samples; remove the file")
    if not 0 < opened.frames < MAX_SAMPLES:
        raise AudioError(
            f"{name}: its header gives no possible length ({opened.frames} samples); "
            "write the file again with a known length"
        )
    return AudioInfo(
        codec=CODECS[opened.format],
        sample_rate_hz=opened.samplerate,
        num_samples=opened.frames,
        channels=opened.channels,
    )


def _check_rate(rate_hz: int, name: str) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"{name}: got a sample rate of {rate_hz} Hz; expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
        )


def _parts(
    opened: sf.SoundFile, info: AudioInfo, name: str, sample_rate_hz: int | None
) -> Iterator[Samples]:
    """The whole file in parts of any length, at the asked rate if any."""
    parts = _mono_parts(opened, info, name)
    if sample_rate_hz is None or sample_rate_hz == info.sample_rate_hz:
        yield from parts
        return
    _check_rate(sample_rate_hz, name)
    stream = soxr.ResampleStream(info.sample_rate_hz, sample_rate_hz, 1, dtype="float32")
    given, made = 0, 0
    for part in parts:
        given += len(part)
        resampled = stream.resample_chunk(part)
        made += len(resampled)
        yield resampled
    rest = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
    if not made + len(rest):
        raise AudioError(
            f"{name}: got {given} samples at {info.sample_rate_hz} Hz, which is less than one "
            f"sample at {sample_rate_hz} Hz; remove the file"
        )
    yield rest


def _mono_parts(opened: sf.SoundFile, info: AudioInfo, name: str) -> Iterator[Samples]:
    """The channels averaged; samples that are not finite are an error."""
    done = 0
    for part in _raw_parts(opened, info, name, "float32"):
        if not np.isfinite(part).all():
            raise AudioError(
                f"{name}: got NaN or infinite samples after {done / info.sample_rate_hz:.3f} s; "
                "expected finite ones: repair or remove the file"
            )
        done += len(part)
        yield part[:, 0] if info.channels == 1 else part.mean(axis=1, dtype=np.float32)


def _raw_parts(
    opened: sf.SoundFile, info: AudioInfo, name: str, dtype: str
) -> Iterator[npt.NDArray[Any]]:
    """Decode part by part (a header's length is never trusted with memory), then compare.

    Parts are `(samples, channels)`.
    """
    size = max(1, READ_SAMPLES // info.channels)
    done = 0
    while done < info.num_samples:
        try:
            part = opened.read(min(size, info.num_samples - done), dtype=dtype, always_2d=True)
        except sf.SoundFileError as error:
            raise AudioError(
                f"{name}: broken after {done / info.sample_rate_hz:.3f} s "
                f"({one_line(error)}); copy it again or remove it"
            ) from error
        if not len(part):
            break
        done += len(part)
        yield part
    # the file's position may only be moved now, after the decoder's last read
    if done < info.num_samples - truncation.slack_samples(opened.name, info.codec):
        raise AudioError(
            f"{name}: truncated (got {done} samples where its header promises "
            f"{info.num_samples}); copy it again or remove it"
        )
    if not done:
        raise AudioError(f"{name}: got zero samples; remove the file")


def _regrouped(parts: Iterator[Samples], size: int) -> Iterator[Samples]:
    """The same samples in blocks of `size`, the last one shorter."""
    waiting: list[Samples] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        if count >= size:
            joined = np.concatenate(waiting)
            whole = count - count % size
            yield from joined[:whole].reshape(-1, size)
            waiting, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(waiting)


def one_line(error: Exception) -> str:
    """The library's reason, without the Python object that it names."""
    return " ".join(str(error).split()).split(">: ")[-1]
