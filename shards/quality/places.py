"""Where in a clip a doubt is: what to listen to of a long recording."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shards.audio.decoding import Samples
from shards.audio.levels import FULL_SCALE, SILENCE_DB, WINDOW_S

Span = tuple[float, float]  # from and to, in seconds of the clip


@dataclass(frozen=True, kw_only=True)
class Places:
    """Stretches of one clip; empty ones, `(0, 0)`, where there is no such thing.

    Args:
        clipped_s: the most samples in a row at full scale, on one side.
        silent_s: the longest silence, in whole windows.
        loudest_s: the window of the highest level.
    """

    clipped_s: Span
    silent_s: Span
    loudest_s: Span


class _LongestRun:
    """The longest run of one number other than 0, of numbers that come in blocks."""

    def __init__(self) -> None:
        self.longest = (0, 0)
        self._seen, self._start, self._value = 0, 0, 0

    def add(self, values: npt.NDArray[np.int8]) -> None:
        if not len(values):
            return
        changes = np.flatnonzero(np.diff(values, prepend=np.int8(self._value)))
        starts = np.append(self._start, self._seen + changes)
        kinds = np.append(self._value, values[changes])
        self._seen += len(values)
        ends = np.append(starts[1:], self._seen)
        lengths = np.where(kinds != 0, ends - starts, 0)
        best = int(lengths.argmax())
        if lengths[best] > self.longest[1] - self.longest[0]:
            self.longest = int(starts[best]), int(ends[best])
        self._start, self._value = int(starts[-1]), int(kinds[-1])


def places(blocks: Iterable[Samples], sample_rate_hz: int) -> Places:
    """The places of a clip out of its blocks `(samples,)`, however it is cut into them."""
    window = max(1, round(WINDOW_S * sample_rate_hz))
    full, silent = _LongestRun(), _LongestRun()
    rest = np.zeros(0, np.float32)
    windows, loudest, most = 0, 0, -1.0
    for block in blocks:
        at_limit = np.abs(block) >= FULL_SCALE
        full.add((at_limit * np.sign(block)).astype(np.int8))
        joined = np.concatenate([rest, block])
        whole = len(joined) - len(joined) % window
        levels = np.square(joined[:whole].reshape(-1, window), dtype=np.float64).mean(axis=1)
        silent.add((levels < 10 ** (SILENCE_DB / 10)).astype(np.int8))
        if len(levels) and levels.max() > most:
            loudest, most = windows + int(levels.argmax()), float(levels.max())
        windows += len(levels)
        rest = joined[whole:]
    return Places(
        clipped_s=_span(full.longest, sample_rate_hz),
        silent_s=_span(silent.longest, sample_rate_hz / window),
        loudest_s=_span((loudest, loudest + 1), sample_rate_hz / window),
    )


def _span(run: tuple[int, int], rate_hz: float) -> Span:
    return run[0] / rate_hz, run[1] / rate_hz
