"""What a meter says of a clip: level, clipping, silence, offset, and a checksum of its samples.

Levels are of the mono mix, which is what models hear, in dB relative to full scale: a constant 1
has an RMS level of 0 dBFS, a full-scale sine one of -3.01 dBFS. Clipping that is in one of several
channels alone may average away.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from shards.audio.decoding import AudioError, Samples

FULL_SCALE = 1 - 2**-15  # the largest 16-bit sample
FLOOR_DB = -120.0  # of levels, so that silence is a number too
SILENCE_DB = -80.0  # windows below it are silent; real ones at -69 dBFS hold faint sounds
WINDOW_S = 0.05
BLOCK_S = 10.0  # how much of a clip is in memory at a time
CONTENT_DIGITS = 32  # 128 bits: no two of 10^15 clips meet

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        # why the clip could not be measured: all that follows is null then
        pa.field("error", pa.string()),
        pa.field("rms_db", pa.float64()),
        pa.field("peak_db", pa.float64()),
        pa.field("offset", pa.float64()),
        pa.field("clipped_share", pa.float64()),
        pa.field("clipped_run", pa.int64()),
        pa.field("silent_share", pa.float64()),
        pa.field("zero_share", pa.float64()),
        pa.field("content", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The measures of one clip.

    `offset` is the mean sample (DC), `clipped_share` the share of samples at full scale and
    `clipped_run` the most of them in a row on one side, `silent_share` the share of the time
    whose windows lie below `SILENCE_DB`, `zero_share` the share of samples that are exactly 0,
    `content` a checksum of rate and samples: equal for the same audio in any lossless codec, and
    empty where all samples are 0.
    """

    rms_db: float
    peak_db: float
    offset: float
    clipped_share: float
    clipped_run: int
    silent_share: float
    zero_share: float
    content: str


def decibels(amplitude: float) -> float:
    """An amplitude relative to 1 as dB, `FLOOR_DB` at least."""
    return max(FLOOR_DB, 20 * math.log10(amplitude)) if amplitude > 0 else FLOOR_DB


def measure(blocks: Iterable[Samples], sample_rate_hz: int) -> Levels:
    """The measures of a clip out of its blocks `(samples,)`, however it is cut into them."""
    meter = _Meter(sample_rate_hz)
    for block in blocks:
        meter.add(block)
    return meter.levels()


@dataclass
class _FullScale:
    """Samples at full scale: how many, and how many in a row at most."""

    count: int = 0
    longest: int = 0
    _run: int = 0  # that the last block ended with
    _positive: bool = False

    def add(self, block: Samples, magnitude: Samples) -> None:
        places = np.flatnonzero(magnitude >= FULL_SCALE)
        if not len(places):
            self._run = 0
            return
        positive = block[places] > 0
        breaks = (np.diff(places) != 1) | (positive[1:] != positive[:-1])
        bounds = [0, *(np.flatnonzero(breaks) + 1).tolist(), len(places)]
        lengths = np.diff(bounds).tolist()
        if places[0] == 0 and bool(positive[0]) == self._positive:
            lengths[0] += self._run
        self.count += len(places)
        self.longest = max(self.longest, *lengths)
        self._run = lengths[-1] if places[-1] == len(block) - 1 else 0
        self._positive = bool(positive[-1])


@dataclass
class _Meter:
    """Sums over the blocks of one clip."""

    sample_rate_hz: int
    samples: int = 0
    silent: int = 0
    zeros: int = 0
    total: float = 0.0
    energy: float = 0.0
    peak: float = 0.0
    full_scale: _FullScale = field(default_factory=_FullScale)

    def __post_init__(self) -> None:
        self._window = max(1, round(WINDOW_S * self.sample_rate_hz))
        self._rest = np.zeros(0, np.float32)  # the begun window
        self._content = hashlib.sha256(f"{self.sample_rate_hz}\0".encode())

    def add(self, block: Samples) -> None:
        if not len(block):
            return
        magnitude = np.abs(block)
        self.samples += len(block)
        self.zeros += int(np.count_nonzero(block == 0))
        self.total += float(block.sum(dtype=np.float64))
        self.peak = max(self.peak, float(magnitude.max()))
        self.full_scale.add(block, magnitude)
        self._content.update(np.ascontiguousarray(block, "<f4").tobytes())
        joined = np.concatenate([self._rest, block])
        whole = len(joined) - len(joined) % self._window
        self._add_windows(joined[:whole].reshape(-1, self._window))
        self._rest = joined[whole:]

    def _add_windows(self, windows: Samples) -> None:
        energy = np.square(windows, dtype=np.float64).sum(axis=1)  # (windows,)
        self.energy += float(energy.sum())
        quiet = energy < windows.shape[1] * 10 ** (SILENCE_DB / 10)
        self.silent += int(np.count_nonzero(quiet)) * windows.shape[1]

    def levels(self) -> Levels:
        if len(self._rest):
            self._add_windows(self._rest[None])
            self._rest = self._rest[:0]
        if not self.samples:
            raise AudioError("levels: got no samples; expected one or more")
        return Levels(
            rms_db=decibels(math.sqrt(self.energy / self.samples)),
            peak_db=decibels(self.peak),
            offset=self.total / self.samples,
            clipped_share=self.full_scale.count / self.samples,
            clipped_run=self.full_scale.longest,
            silent_share=self.silent / self.samples,
            zero_share=self.zeros / self.samples,
            content=self._content.hexdigest()[:CONTENT_DIGITS] if self.peak else "",
        )
