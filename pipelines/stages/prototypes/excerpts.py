"""Segments of prototypes as sound and picture that stand in a page by themselves."""

import base64
import contextlib
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import numpy.typing as npt
import torch

from pipelines.runtime.errors import USER_ERRORS
from pipelines.stages.prototypes.survey import rows_of
from pmam.encoders.log_mel import LogMelSettings, mel_basis
from pmam.prototypes.usage import Segment
from shards.audio.encoding import encode
from shards.dataset import Dataset
from shards.index import IndexRow

RATE_HZ = 16000
CONTEXT_S = 0.25  # heard and seen before and after a segment
BLOCK_S = 10.0
MAX_GAIN, PEAK = 10.0, 0.7  # quiet segments are made louder, by 20 dB at most
MEL = LogMelSettings(
    sample_rate_hz=RATE_HZ,
    fft_size=512,
    window_samples=400,
    hop_samples=160,
    mels=64,
    high_hz=8000.0,
)
RANGE_DB = 60.0  # of a picture, below its loudest point
COLOURS = 64

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """A segment with a little before and after it, for a page."""

    sound: str  # `data:` URL, mono FLAC
    picture: str  # `data:` URL, a log-mel spectrogram
    start_s: float  # of the excerpt in the clip
    stop_s: float

    @property
    def size(self) -> int:
        """Bytes in a page."""
        return len(self.sound) + len(self.picture)


@dataclass(frozen=True, kw_only=True)
class Excerpts:
    """What a page can show: by prototype and place in its list."""

    made: dict[tuple[int, int], Excerpt]
    failed: dict[tuple[int, int], str]  # why a clip could not be read
    left_out: int  # because the page would become too large


def excerpts(
    dataset: Dataset, top: Sequence[Sequence[Segment]], per_prototype: int, max_bytes: int
) -> Excerpts:
    """The first segments of each prototype, as many as fit.

    Every prototype gets its first, then every one its second, and so on: what is left out
    because of `max_bytes` is last in the lists. Prototypes come in the order of `top`.
    """
    made: dict[tuple[int, int], Excerpt] = {}
    failed: dict[tuple[int, int], str] = {}
    used, wanted, done = 0, 0, False
    for rank in range(per_prototype):
        chosen = {
            (z, rank): segments[rank] for z, segments in enumerate(top) if rank < len(segments)
        }
        wanted += len(chosen)
        if done:
            continue
        cut = _cut(dataset, chosen, failed)
        for place in sorted(cut):
            used += cut[place].size
            done = done or used > max_bytes
            if not done:
                made[place] = cut[place]
    return Excerpts(made=made, failed=failed, left_out=wanted - len(made) - len(failed))


def _cut(
    dataset: Dataset, chosen: dict[tuple[int, int], Segment], failed: dict[tuple[int, int], str]
) -> dict[tuple[int, int], Excerpt]:
    """Each clip is decoded once, in blocks."""
    by_key: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, segment in chosen.items():
        by_key[segment.key].append(place)
    made = {}
    for row in rows_of(dataset, by_key):
        places = by_key[row.key]
        spans = [_span(chosen[place], row) for place in places]
        try:
            for place, span, samples in zip(
                places, spans, _samples(dataset, row, spans), strict=True
            ):
                made[place] = _excerpt(samples, span)
        except USER_ERRORS as error:
            failed |= dict.fromkeys(places, " ".join(str(error).split()))
    return made


def _span(segment: Segment, row: IndexRow) -> tuple[float, float]:
    start_s = max(0.0, segment.start_s - CONTEXT_S)
    return start_s, min(row.duration_s, segment.stop_s + CONTEXT_S)


def _samples(
    dataset: Dataset, row: IndexRow, spans: Sequence[tuple[float, float]]
) -> Iterator[Samples]:
    """Some spans of a clip, in seconds, in the order given."""
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


def _excerpt(samples: Samples, span: tuple[float, float]) -> Excerpt:
    gain = min(MAX_GAIN, PEAK / max(float(np.abs(samples).max()), 1e-9))
    flac = encode(gain * samples, RATE_HZ, "flac")
    return Excerpt(
        sound=f"data:audio/flac;base64,{base64.b64encode(flac).decode()}",
        picture=f"data:image/png;base64,{base64.b64encode(spectrogram(samples)).decode()}",
        start_s=span[0],
        stop_s=span[1],
    )


def spectrogram(samples: Samples) -> bytes:
    """The log-mel spectrogram of `(samples,)` at 16 kHz as PNG, low frequencies at the bottom."""
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
    level_db = 10 * np.log10(np.maximum(power, 1e-12))
    shade = 1 + (level_db - max(float(level_db.max()), -90.0)) / RANGE_DB  # 1 at the loudest
    return _png((np.clip(shade, 0, 1)[::-1] * (COLOURS - 1)).round().astype(np.uint8))


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
