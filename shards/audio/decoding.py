"""Audio bytes to float32 mono waveforms: all that a file holds, or an error, never a guess.

What a whole file is says `containers.whole`, for every reader; here it is decoded.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soxr

from shards.audio.channel_choice import Channel
from shards.audio.channels import ChannelMeter, mono, place
from shards.audio.errors import AudioError as AudioError
from shards.audio.sound import AudioInfo as AudioInfo
from shards.audio.sound import Sound, check_rate, opened
from shards.errors import naming

Samples = npt.NDArray[np.float32]

CODECS = ("flac", "mp3", "ogg", "wav")  # of clips in shards
# Of files that may be kept as they are.
STORED_SUFFIXES = (
    ".bw64", ".bwf", ".flac", ".mp1", ".mp2", ".mp3", ".mpa", ".oga", ".ogg", ".ogv", ".ogx",
    ".opus", ".rf64", ".spx", ".wav", ".wave",
)  # fmt: skip
# read as well, by FFmpeg where libsndfile does not, and stored as FLAC
OTHER_SUFFIXES = (
    ".3g2", ".3gp", ".8svx", ".aac", ".ac3", ".adts", ".aif", ".aifc", ".aiff", ".amr", ".ape",
    ".asf", ".au", ".avi", ".avr", ".awb", ".caf", ".dff", ".dsf", ".dts", ".eac3", ".ec3", ".f4v",
    ".flv", ".gsm", ".ircam", ".latm", ".loas", ".m2ts", ".m4a", ".m4b", ".m4r", ".m4v", ".mka",
    ".mkv", ".mlp", ".mov", ".mp4", ".mpc", ".mpeg", ".mpg", ".mts", ".nist", ".paf", ".pvf",
    ".ra", ".rm", ".sf", ".shn", ".snd", ".sox", ".sph", ".tak", ".thd", ".tta", ".vob", ".voc",
    ".w64", ".weba", ".webm", ".wma", ".wmv", ".wv",
)  # fmt: skip
# Of all recordings: in folders, in tars and in tables there is no other list.
AUDIO_SUFFIXES = tuple(sorted(STORED_SUFFIXES + OTHER_SUFFIXES))


def probe(data: bytes | BinaryIO, name: str, *, quick: bool = True) -> AudioInfo:
    """What a file holds, without decoding it where its structure tells.

    Args:
        data: the file.
        name: what errors call it.
        quick: read some frames of a FLAC over 8 MiB; else all. Of MP3 and Ogg all frames and
            pages are read in any case, of kinds that FFmpeg reads all sound.
    """
    with opened(_as_file(data), name, quick=quick) as sound:
        count = sound.num_samples
        if count is None:
            count = sum(len(part) for part in sound.parts("float32"))
        return sound.info(count)


def measured(data: bytes | BinaryIO, name: str, *, meter: ChannelMeter | None = None) -> AudioInfo:
    """What a file holds, all of it decoded and checked, in bounded memory.

    Raises what `decode` raises. The meter counts the energy of the channels.
    """
    with opened(_as_file(data), name) as sound:
        return sound.info(sum(len(part) for part in _mono_parts(sound, meter=meter)))


def fits_16_bits(file: BinaryIO, name: str) -> bool:
    """Whether the header alone says that 16 bits hold every sample of the mono mix."""
    with opened(file, name, quick=True) as sound:
        return sound.channels == 1 and sound.subtype in ("PCM_U8", "PCM_S8", "PCM_16")


def steps_16_bits(file: BinaryIO, name: str) -> Iterator[npt.NDArray[np.int16]]:
    """The samples of a file that `fits_16_bits`, as integers; raises what `decode` raises."""
    with opened(file, name) as sound:
        for part in sound.parts("int16"):
            yield part[:, 0]


def decode(data: bytes, name: str, *, sample_rate_hz: int | None = None) -> Samples:
    """A whole file as float32 mono `(samples,)`, channels averaged, at the asked rate if any.

    Raises `AudioError` for what cannot be read, is damaged or cut short, has no samples, or has
    samples that are not finite.
    """
    with opened(io.BytesIO(data), name) as sound:
        return np.concatenate(list(_parts(sound, sample_rate_hz)))


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Band-limited resampling of `(samples,)` to `round(samples * to_hz / from_hz)` samples."""
    if from_hz == to_hz:
        return samples
    check_rate(to_hz, "resample")
    return np.asarray(soxr.resample(samples, from_hz, to_hz), dtype=np.float32)


def blocks(
    file: str | Path | BinaryIO,
    name: str,
    *,
    sample_rate_hz: int,
    block_s: float,
    channel: Channel | int = "mean",
    meter: ChannelMeter | None = None,
) -> Iterator[Samples]:
    """Decode a file of any length in bounded memory.

    Yields float32 mono blocks of `round(block_s * sample_rate_hz)` samples, the last one
    shorter. Joined they are, bit for bit, what `decode` returns; it raises what `decode` raises.

    Args:
        file: a path, or a file with random access.
        name: what errors call it.
        sample_rate_hz: of the blocks.
        block_s: length of each.
        channel: what becomes mono, a choice or a channel's place from 0 on; for the loudest a file
            of several channels is decoded twice.
        meter: counts the energy of the channels.
    """
    size = round(block_s * sample_rate_hz)
    if size < 1:
        raise AudioError(f"{name}: got blocks of {block_s} s; expected one sample or more")
    with contextlib.ExitStack() as stack:
        if isinstance(file, str | Path):
            with naming(file):
                file = stack.enter_context(Path(file).open("rb"))
        taken = _loudest(file, name) if channel == "loudest" else None
        sound = stack.enter_context(opened(file, name))
        if channel != "loudest":
            taken = place(channel, sound.channels, name)
        yield from _regrouped(_parts(sound, sample_rate_hz, taken, meter), size)


def _loudest(file: BinaryIO, name: str) -> int:
    with opened(file, name) as sound:
        if sound.channels == 1:
            return 0
        meter = ChannelMeter()
        for _ in _mono_parts(sound, meter=meter):
            pass
        return meter.loudest


def _as_file(data: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes | bytearray | memoryview) else data


def _parts(
    sound: Sound,
    sample_rate_hz: int | None,
    taken: int | None = None,
    meter: ChannelMeter | None = None,
) -> Iterator[Samples]:
    """The whole file in parts of any length, at the asked rate if any."""
    parts, from_hz, name = _mono_parts(sound, taken, meter), sound.sample_rate_hz, sound.name
    if sample_rate_hz is None or sample_rate_hz == from_hz:
        yield from parts
        return
    check_rate(sample_rate_hz, name)
    stream = soxr.ResampleStream(from_hz, sample_rate_hz, 1, dtype="float32")
    given, made = 0, 0
    for part in parts:
        given += len(part)
        resampled = stream.resample_chunk(part)
        made += len(resampled)
        yield resampled
    rest = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
    if not made + len(rest):
        raise AudioError(
            f"{name}: got {given} samples at {from_hz} Hz, which is less than one sample at "
            f"{sample_rate_hz} Hz; leave it out"
        )
    yield rest


def _mono_parts(
    sound: Sound, taken: int | None = None, meter: ChannelMeter | None = None
) -> Iterator[Samples]:
    """One channel, or all averaged; samples that are not finite are an error."""
    done = 0
    if meter is not None:
        meter.tracks = sound.tracks
    for part in sound.parts("float32"):
        if not (finite := np.isfinite(part)).all():
            bad = done + int(np.argmin(finite.all(axis=1)))
            raise AudioError(
                f"{sound.name}: got NaN or infinite samples at {bad / sound.sample_rate_hz:.3f} s; "
                "expected finite ones: restore it from its source, or write it again without them"
            )
        done += len(part)
        if meter is not None:
            meter.add(part, sound.sample_rate_hz)
        yield mono(part, taken)


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
