"""Mono waveforms to FLAC or WAV bytes, the same bytes for the same samples."""

import io
from collections.abc import Iterable
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import soundfile as sf

from shards.audio.errors import AudioError, one_line

WAV_MAX_BYTES = (1 << 32) - 1 - 36  # of samples: the whole, less 8 bytes, is counted in 32 bits


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
    buffer = io.BytesIO()
    encode_to(buffer, [samples], sample_rate_hz, codec, bits)
    return buffer.getvalue()


def encode_to(
    file: BinaryIO,
    parts: Iterable[npt.NDArray[np.floating] | npt.NDArray[np.int16]],
    sample_rate_hz: int,
    codec: Literal["flac", "wav"],
    bits: Literal[16, 24] = 16,
    name: str = "encode",
) -> int:
    """Write what `encode` returns for the joined parts, each `(samples,)`; returns their number.

    Parts of 16-bit integers are steps of `2^-15` already. `name` opens the line of an
    `AudioError`: samples that are not finite, a rate that the codec cannot hold, or more than
    fit into a WAV file (4 GiB).
    """
    count = 0
    sink = _Sink(file)
    try:
        with sf.SoundFile(
            sink, "w", sample_rate_hz, 1, f"PCM_{bits}", format=codec.upper()
        ) as written:
            for part in parts:
                count += len(part)
                if codec == "wav" and count * bits // 8 > WAV_MAX_BYTES:
                    raise AudioError(
                        f"{name}: got more samples than a WAV file can hold (4 GiB); "
                        "use the codec flac, or split the recording"
                    )
                written.write(_steps(part, bits, name))
    except AudioError:
        raise
    except (sf.SoundFileError, ValueError, AssertionError) as error:
        if sink.failure is not None:
            raise sink.failure from error
        raise AudioError(
            f"{name}: {codec} cannot hold {bits} bits at {sample_rate_hz} Hz: {one_line(error)}"
        ) from error
    if sink.failure is not None:
        raise sink.failure
    return count


def _steps(
    part: npt.NDArray[np.floating] | npt.NDArray[np.int16], bits: Literal[16, 24], name: str
) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    """Samples as the integers that libsndfile takes: 24 bits are the upper ones of 32."""
    if part.dtype == np.int16:
        return part.astype(np.int16, copy=False) if bits == 16 else part.astype(np.int32) << 16
    if not np.isfinite(part).all():
        raise AudioError(f"{name}: got samples that are NaN or infinite; expected finite ones")
    full_scale = 1 << (bits - 1)
    steps = part * part.dtype.type(full_scale)  # exact: a power of two
    np.clip(np.rint(steps, out=steps), -full_scale, full_scale - 1, out=steps)
    return steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 8


class _Sink:
    """A file for the sound-file library, which cannot pass on why a write failed (a full disk)."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._write = file.seek, file.tell, file.write
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._write(data)
        except OSError as error:
            self.failure = error
            return 0
