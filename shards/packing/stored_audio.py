"""What is stored of a recording: its own file, or its samples encoded anew."""

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from shards import audio
from shards.audio.channel_choice import Channel, ChannelChoice
from shards.audio.channels import ChannelMeter
from shards.audio.decoding import AudioError, AudioInfo
from shards.audio.encoding import encode_to
from shards.clip import Clip
from shards.io import range_file
from shards.io.store import Store
from shards.packing.plan import Codec, stored_form

BLOCK_S = 4.0  # of a recording in memory, decoded
MEMBER_MAX_BYTES = 8**11 - 1  # a USTAR header has eleven octal digits for the size


class StoredAudio(NamedTuple):
    """A checked audio member."""

    file: BinaryIO  # from its start on
    size: int
    info: AudioInfo
    source: AudioInfo
    source_sha256: str | None  # None where the bytes are the source's
    warning: str | None = None  # of the source's channels


class Form(NamedTuple):
    """How recordings are stored."""

    codec: Codec
    sample_rate_hz: int | None
    channel: ChannelChoice


def _taken(choice: ChannelChoice, clip: Clip, info: AudioInfo) -> Channel | int:
    if info.channels == 1:
        return "mean"
    if clip.channel is not None:
        return clip.channel
    return "mean" if choice == "each" else choice


@contextlib.contextmanager
def stored_audio(source: Store, clip: Clip, form: Form, folder: Path) -> Iterator[StoredAudio]:
    """The checked audio member: the source's own file, or a temporary one, encoded anew."""
    with range_file.opened(source, clip.audio) as file:
        info = audio.probe(file, clip.audio)
        channel = _taken(form.channel, clip, info)
        stored_codec, rate = stored_form(info, form.codec, form.sample_rate_hz)
        meter = ChannelMeter()
        if channel != "mean" and stored_codec not in ("flac", "wav"):
            stored_codec = "flac"
        elif channel == "mean" and (stored_codec, rate) == (info.codec, info.sample_rate_hz):
            size = _size(file, clip)
            found = audio.measured(file, clip.audio, meter=meter)
            file.seek(0)
            yield StoredAudio(file, size, found, found, None, meter.warning(clip.audio))
            return
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        is_lossless = info.is_lossless and rate == info.sample_rate_hz
        is_short = is_lossless and audio.fits_16_bits(file, clip.audio)
        bits = _bits(_decoded(file, clip, rate, channel)) if is_lossless and not is_short else 16
        with _scratch(info, rate, folder) as encoded:
            kind = cast(Literal["flac", "wav"], stored_codec)
            name = f"{clip.audio}: encode"
            samples: Iterable[Any] = (
                audio.steps_16_bits(file, clip.audio)
                if is_short
                else _decoded(file, clip, rate, channel, meter)
            )
            count = encode_to(encoded, samples, rate, kind, bits, name)
            stored = AudioInfo(codec=kind, sample_rate_hz=rate, num_samples=count, channels=1)
            size = _size(encoded, clip)
            encoded.seek(0)
            warning = meter.warning(clip.audio, channel)
            yield StoredAudio(encoded, size, stored, info, sha256, warning)


def _scratch(info: AudioInfo, rate: int, folder: Path) -> BinaryIO:
    """Room for what is encoded: memory, or a file for a long recording."""
    largest = 4 * info.num_samples * rate // info.sample_rate_hz  # bytes; no codec needs as many
    if largest <= range_file.WHOLE_BYTES:
        return io.BytesIO()
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder, buffering=0))


def _decoded(
    file: BinaryIO, clip: Clip, rate: int, channel: Channel | int, meter: ChannelMeter | None = None
) -> Iterator[audio.Samples]:
    return audio.blocks(
        file,
        clip.audio,
        sample_rate_hz=rate,
        block_s=BLOCK_S,
        channel=channel,
        meter=meter,
    )


def _bits(blocks: Iterable[audio.Samples]) -> Literal[16, 24]:
    """24 where 16 bits would lose what a lossless recording holds, else 16."""
    for block in blocks:
        steps = block * np.float32(1 << 15)
        if not np.array_equal(steps, np.rint(steps)):
            return 24
    return 16


def _size(file: BinaryIO, clip: Clip) -> int:
    """How many bytes will be stored; `AudioError` where a tar cannot hold them."""
    size = file.seek(0, io.SEEK_END)
    if size > MEMBER_MAX_BYTES:
        raise AudioError(
            f"{clip.audio}: got {size} bytes to store; a member of a tar holds at most "
            f"{MEMBER_MAX_BYTES}: split the recording, or store it as flac or at a lower rate"
        )
    return size
