"""A stretch of a recording as sound and picture that stand in a page by themselves."""

import base64
import contextlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import matplotlib
import numpy as np
import numpy.typing as npt
import torch

from pmam.encoders.log_mel import LogMelSettings, mel_basis
from shards.dataset import Dataset
from shards.index import IndexRow

RATE_HZ = 16000
BLOCK_S = 10.0
MAX_GAIN, PEAK = 10.0, 0.7  # quiet stretches are made louder, by 20 dB at most
BIT_RATE = 56_000  # of Opus, in bits per second
OPUS_FRAME = 320  # samples, 20 ms
MEL = LogMelSettings(
    sample_rate_hz=RATE_HZ,
    fft_size=512,
    window_samples=400,
    hop_samples=160,
    mels=64,
    high_hz=8000.0,
)
WIDEST = 800  # columns of a picture: more than a page shows
RANGE_DB = 60.0  # of a picture, below its loudest point
COLOURS = 64
# Of mel powers: what zeros are taken for, and in dB the least that is drawn at full brightness. The
# noise of rounding to 16 bits reaches -65 dB.
FLOOR, SILENCE_DB = 1e-12, -60.0

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A stretch of a clip, for a page."""

    sound: str  # `data:` URL, mono Opus in Ogg
    picture: str  # `data:` URL, a log-mel spectrogram
    start_s: float  # of the excerpt in the clip
    stop_s: float

    @property
    def size(self) -> int:
        """Bytes in a page."""
        return len(self.sound) + len(self.picture)

    def place(self, time_s: float) -> float:
        """Where a time of the clip lies in the excerpt, in percent of its width."""
        share = (time_s - self.start_s) / (self.stop_s - self.start_s)
        return round(100 * min(max(share, 0.0), 1.0), 2)


def cut(dataset: Dataset, row: IndexRow, spans: Sequence[tuple[float, float]]) -> Iterator[Excerpt]:
    """Some spans of a clip, (start, stop) in seconds, in the order given.

    The clip is decoded once, in blocks.

    Raises:
        AudioError, ReadError: it cannot be read.
    """
    for span, samples in zip(spans, _samples(dataset, row, spans), strict=True):
        yield excerpt(samples, span)


def excerpt(samples: Samples, span: tuple[float, float]) -> Excerpt:
    """Sound `(samples,)` at 16 kHz, one or more, as it stands in a page."""
    gain = min(MAX_GAIN, PEAK / max(float(np.abs(samples).max()), 1e-9))
    return Excerpt(
        sound=_url("audio/ogg", opus(gain * samples)),
        picture=_url("image/png", spectrogram(samples)),
        start_s=span[0],
        stop_s=span[1],
    )


def opus(samples: Samples) -> bytes:
    """Mono sound `(samples,)` at 16 kHz as Opus in Ogg; the same sound gives the same bytes."""
    file = io.BytesIO()
    # libsndfile would draw the number of the Ogg stream anew each time.
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=RATE_HZ, layout="mono")
        stream.codec_context.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = RATE_HZ, 0
        cut = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=RATE_HZ, frame_size=OPUS_FRAME
        )
        for each in (*cut.resample(frame), *cut.resample(None)):
            container.mux(stream.encode(each))
        container.mux(stream.encode(None))
    return file.getvalue()


def spectrogram(samples: Samples) -> bytes:
    """The log-mel spectrogram of `(samples,)` at 16 kHz as PNG, low frequencies at the bottom."""
    return _png((shades(mel_power(samples))[::-1] * (COLOURS - 1)).round().astype(np.uint8))


def mel_power(samples: Samples) -> npt.NDArray[np.float32]:
    """Powers `(mels, columns)` of `(samples,)` at 16 kHz, in at most `WIDEST` columns."""
    padded = np.pad(samples, (0, max(0, MEL.fft_size - len(samples))))
    spectrum = torch.stft(
        torch.from_numpy(padded),
        MEL.fft_size,
        MEL.hop_samples,
        MEL.window_samples,
        torch.hann_window(MEL.window_samples),
        return_complex=True,
    )  # (bins, frames)
    power = (mel_basis(MEL) @ spectrum.abs().square()).numpy()  # (mels, frames)
    joined = -(-power.shape[1] // WIDEST)  # frames in a column
    loudest = np.maximum.reduceat(power, np.arange(0, power.shape[1], joined), axis=1)
    return np.asarray(loudest, np.float32)


def shades(power: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Powers as levels from 0 to 1, the loudest; silence stays dark."""
    level_db = 10 * np.log10(np.maximum(power, FLOOR))
    shade = 1 + (level_db - max(float(level_db.max()), SILENCE_DB)) / RANGE_DB
    return np.asarray(np.clip(shade, 0, 1), np.float64)


def _samples(
    dataset: Dataset, row: IndexRow, spans: Sequence[tuple[float, float]]
) -> Iterator[Samples]:
    bounds = [(round(start * RATE_HZ), round(stop * RATE_HZ)) for start, stop in spans]
    parts: list[list[Samples]] = [[] for _ in spans]
    blocks, first = dataset.audio_blocks(row, RATE_HZ, BLOCK_S), 0
    with contextlib.closing(blocks):
        for block in blocks:
            for held, (start, stop) in zip(parts, bounds, strict=True):
                if start < first + len(block) and stop > first:
                    held.append(block[max(0, start - first) : stop - first].copy())
            first += len(block)
            if first >= max(stop for _, stop in bounds):
                break
    yield from (np.concatenate(held) for held in parts)


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A picture `(rows, columns)` of indices into the palette."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    rows, columns = pixels.shape
    palette = (matplotlib.colormaps["magma"](np.linspace(0, 1, COLOURS))[:, :3] * 255).round()
    unfiltered = np.pad(pixels, ((0, 0), (1, 0)))  # each row begins with its filter: none
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", palette.astype(np.uint8).tobytes())
        + chunk(b"IDAT", zlib.compress(unfiltered.tobytes(), 9))
        + chunk(b"IEND", b"")
    )
