"""Audio bytes to float32 mono waveforms and back; a doubtful file is an error, never a guess."""

import contextlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from shards import audio_headers

Samples = npt.NDArray[np.float32]

AUDIO_SUFFIXES = (".flac", ".mp3", ".oga", ".ogg", ".opus", ".wav")
CODECS = {"FLAC": "flac", "MP3": "mp3", "OGG": "ogg", "RF64": "wav", "WAV": "wav", "WAVEX": "wav"}
MIN_RATE_HZ, MAX_RATE_HZ = 100, 1_000_000  # from infrasound to the fastest bat recorders
MAX_SAMPLES = 1 << 40  # more than a year at 32 kHz: such a header is damaged, or holds no length
MP3_SLACK_SAMPLES = 2 * 1152  # encoder delay and padding: two MP3 frames
READ_SAMPLES = 1 << 16  # samples of all channels that are decoded at a time


class AudioError(ValueError):
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


def decode(data: bytes, name: str, *, sample_rate_hz: int | None = None) -> Samples:
    """A whole file as float32 mono `(samples,)`, channels averaged, at the asked rate if any.

    Raises `AudioError` for what cannot be read, is shorter than its header says, has no
    samples, or has samples that are not finite.
    """
    with _opened(io.BytesIO(data), name) as (file, info):
        mono = np.concatenate(list(_mono_parts(file, info, name)))
    if sample_rate_hz is None:
        return mono
    _check_rate(sample_rate_hz, name)
    samples = resample(mono, info.sample_rate_hz, sample_rate_hz)
    if not len(samples):
        raise AudioError(
            f"{name}: got {len(mono)} samples at {info.sample_rate_hz} Hz, which is less than one "
            f"sample at {sample_rate_hz} Hz; remove the file"
        )
    return samples


def encode(
    samples: npt.NDArray[np.floating],
    sample_rate_hz: int,
    codec: Literal["flac", "wav"],
    bits: Literal[16, 24] = 16,
) -> bytes:
    """A mono waveform `(samples,)` as FLAC or WAV bytes, the same bytes for the same input.

    Samples are rounded to steps of `2^(1 - bits)`; what exceeds [-1, 1) is clipped.
    """
    if samples.ndim != 1 or not len(samples):
        raise AudioError(f"encode: got shape {samples.shape}; expected (samples,), one or more")
    if not np.isfinite(samples).all():
        raise AudioError("encode: got samples that are NaN or infinite; expected finite ones")
    full_scale = 1 << (bits - 1)
    steps = np.clip(np.rint(samples.astype(np.float64) * full_scale), -full_scale, full_scale - 1)
    # libsndfile takes 24-bit samples as the upper bits of 32
    words = steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 8
    buffer = io.BytesIO()
    try:
        sf.write(buffer, words, sample_rate_hz, format=codec.upper(), subtype=f"PCM_{bits}")
    except (sf.SoundFileError, ValueError) as error:
        raise AudioError(
            f"encode: {codec} cannot hold {bits} bits at {sample_rate_hz} Hz: {_one_line(error)}"
        ) from error
    return buffer.getvalue()


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
    shorter. Joined they are what `decode` returns.
    """
    size = round(block_s * sample_rate_hz)
    if size < 1:
        raise AudioError(f"{name}: got blocks of {block_s} s; expected one sample or more")
    with contextlib.ExitStack() as stack:
        if isinstance(file, str | Path):
            file = stack.enter_context(Path(file).open("rb"))
        opened, info = stack.enter_context(_opened(file, name))
        parts = _mono_parts(opened, info, name)
        if info.sample_rate_hz != sample_rate_hz:
            _check_rate(sample_rate_hz, name)
            parts = _resampled_parts(parts, info.sample_rate_hz, sample_rate_hz)
        yield from _regrouped(parts, size)


def _as_file(data: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data


@contextlib.contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[tuple[sf.SoundFile, AudioInfo]]:
    """The opened file and its checked header."""
    if file.seek(0, io.SEEK_END) == 0:
        raise AudioError(f"{name}: got an empty file (0 bytes); copy it again or remove it")
    if missing := audio_headers.what_is_missing(file):
        raise AudioError(f"{name}: truncated ({missing}); copy it again or remove it")
    file.seek(0)
    try:
        opened = sf.SoundFile(file)
    except (sf.SoundFileError, TypeError) as error:
        raise AudioError(
            f"{name}: cannot be read as audio ({_one_line(error)}); expected one of "
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


def _mono_parts(opened: sf.SoundFile, info: AudioInfo, name: str) -> Iterator[Samples]:
    """Decode part by part (a header's length is never trusted with memory), then compare."""
    size = max(1, READ_SAMPLES // info.channels)
    done = 0
    while done < info.num_samples:
        try:
            part = opened.read(
                min(size, info.num_samples - done), dtype="float32", always_2d=True
            )  # (samples, channels)
        except sf.SoundFileError as error:
            raise AudioError(
                f"{name}: broken after {done / info.sample_rate_hz:.3f} s "
                f"({_one_line(error)}); copy it again or remove it"
            ) from error
        if not len(part):
            break
        if not np.isfinite(part).all():
            raise AudioError(
                f"{name}: got NaN or infinite samples after {done / info.sample_rate_hz:.3f} s; "
                "expected finite ones: repair or remove the file"
            )
        done += len(part)
        yield part[:, 0] if info.channels == 1 else part.mean(axis=1, dtype=np.float32)
    # the file's position may only be moved now, after the decoder's last read
    if done < info.num_samples - _slack_samples(opened.name, info.codec):
        raise AudioError(
            f"{name}: truncated (got {done} samples where its header promises "
            f"{info.num_samples}); copy it again or remove it"
        )
    if not done:
        raise AudioError(f"{name}: got zero samples; remove the file")


def _slack_samples(file: BinaryIO, codec: str) -> float:
    """How many samples fewer than its header says a sound file may hold."""
    if codec != "mp3":
        return 0
    return MP3_SLACK_SAMPLES if audio_headers.mp3_promises_length(file) else math.inf


def _resampled_parts(parts: Iterator[Samples], from_hz: int, to_hz: int) -> Iterator[Samples]:
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")
    for part in parts:
        yield stream.resample_chunk(part)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


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


def _one_line(error: Exception) -> str:
    """The library's reason, without the Python object that it names."""
    return " ".join(str(error).split()).split(">: ")[-1]
