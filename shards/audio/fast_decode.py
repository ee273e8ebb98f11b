"""Clips to float32 at the cost of reading them: PCM by numpy, FLAC by dr_flac.

dr_flac gives fewer samples, and no error, for a damaged file. So this is for bytes that match
the checksum of the index alone, and the sample count is compared with the index as well. The
samples are bit for bit those of libsndfile (`shards.audio.decoding`), which decodes all else.
"""

import struct

import miniaudio
import numpy as np

from shards.audio import decoding
from shards.audio.channels import mono
from shards.audio.decoding import AudioError, Samples
from shards.index import IndexRow

RIFF_HEADER_BYTES, CHUNK_HEADER_BYTES = 12, 8
PCM, IEEE_FLOAT = 1, 3
# (format tag, bits) -> numpy's type and what one step is worth
WAV_FORMS = {
    (PCM, 16): ("<i2", np.float32(2.0**-15)),
    (PCM, 32): ("<i4", np.float32(2.0**-31)),
    (IEEE_FLOAT, 32): ("<f4", None),
}


def decode(
    data: bytes | memoryview, row: IndexRow, name: object, sample_rate_hz: int | None = None
) -> Samples:
    """A clip as float32 mono `(samples,)`, channels averaged, at its own rate or resampled.

    Args:
        data: its audio file; FLAC must match the checksum of the row.
        row: what the index says of it.
        name: what errors call it; a string is made of it for these alone.
        sample_rate_hz: the rate to resample to.

    Raises:
        AudioError: it cannot be read, or its rate, channels or length are not the index's.
    """
    samples = None
    if row.codec == "wav":
        samples = _wav(data, row, name)
    elif row.codec == "flac":
        samples = _flac(data, row, name)
    if samples is None:  # another codec, or a WAV of another kind
        samples = decoding.decode(bytes(data), str(name))
        if row.codec == "wav" and len(samples) != row.num_samples:
            raise AudioError(
                f"{name}: got {len(samples)} samples, the index says {row.num_samples}; "
                "run pmam verify, or pack it again"
            )
    elif row.channels > 1:
        samples = mono(samples.reshape(-1, row.channels), None)
    if sample_rate_hz is None or sample_rate_hz == row.sample_rate_hz:
        return samples
    resampled = decoding.resample(samples, row.sample_rate_hz, sample_rate_hz)
    if not len(resampled):
        raise AudioError(
            f"{name}: got {len(samples)} samples at {row.sample_rate_hz} Hz, which is less than "
            f"one sample at {sample_rate_hz} Hz; remove the clip"
        )
    return resampled


def _wav(data: bytes | memoryview, row: IndexRow, name: object) -> Samples | None:
    """All channels interleaved, or None where this is no plain WAV as the index describes it."""
    if len(data) < RIFF_HEADER_BYTES or data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    form = None
    position = RIFF_HEADER_BYTES
    while position + CHUNK_HEADER_BYTES <= len(data):
        chunk, size = struct.unpack_from("<4sI", data, position)
        position += CHUNK_HEADER_BYTES
        if chunk == b"fmt " and size >= 16 and position + 16 <= len(data):
            tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", data, position)
            if (channels, rate) != (row.channels, row.sample_rate_hz):
                return None
            form = WAV_FORMS.get((tag, bits))
        elif chunk == b"data":
            if form is None:
                return None
            dtype, step = form
            count = row.num_samples * row.channels
            if size != count * np.dtype(dtype).itemsize or position + size > len(data):
                return None
            steps = np.frombuffer(data, dtype, count, position)
            if step is None:
                if not np.isfinite(steps).all():
                    raise AudioError(
                        f"{name}: got NaN or infinite samples; expected finite ones: repair or "
                        "remove the clip"
                    )
                return steps.astype(np.float32)
            return np.asarray(np.multiply(steps, step, dtype=np.float32))
        position += size + size % 2
    return None


def _flac(data: bytes | memoryview, row: IndexRow, name: object) -> Samples:
    """All channels interleaved."""
    ffi, lib = miniaudio.ffi, miniaudio.lib
    count = row.num_samples * row.channels
    samples: Samples = np.empty(count, np.float32)
    decoder = lib.ma_dr_flac_open_memory(ffi.from_buffer(data), len(data), ffi.NULL)
    if not decoder:
        raise AudioError(f"{name}: cannot be read as FLAC; run pmam verify, or pack it again")
    try:
        found = (decoder.sampleRate, decoder.channels)
        expected = (row.sample_rate_hz, row.channels)
        if found != expected:
            raise AudioError(
                f"{name}: got {found[0]} Hz and {found[1]} channels, the index says "
                f"{expected[0]} Hz and {expected[1]}; run pmam verify"
            )
        out = ffi.cast("float *", samples.ctypes.data)
        got = lib.ma_dr_flac_read_pcm_frames_f32(decoder, row.num_samples, out)
        more = lib.ma_dr_flac_read_pcm_frames_f32(decoder, 1, ffi.new("float[]", int(row.channels)))
    finally:
        lib.ma_dr_flac_close(decoder)
    if got != row.num_samples or more:
        raise AudioError(
            f"{name}: got {got + more} samples or more, the index says {row.num_samples}; "
            "run pmam verify, or pack it again"
        )
    return samples
