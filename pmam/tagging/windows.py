"""The windows of a recording that a tagger hears, real ones and those of the published code."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

Samples = npt.NDArray[np.float32]
# TMRL cuts clips with this rate, whatever rate it has resampled them to.
PUBLISHED_RATE_HZ = 44100


@dataclass(frozen=True, kw_only=True)
class WindowGrid:
    """Windows of one length at equal distances.

    Window k stands for the time from `k * hop_s` to `(k + 1) * hop_s`, and has it in its middle.
    The published code's windows begin at `k * hop_s` instead, and both are counted at 44.1 kHz in
    samples of another rate: at 16 kHz they begin every 2.76 s and are 2.76 times as long.

    Args:
        rate_hz: of the samples.
        window_s: length.
        hop_s: from window to window.
        published: cut as the published code does.
    """

    rate_hz: int
    window_s: float
    hop_s: float
    published: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.hop_s < math.inf and 0 < self.window_s < math.inf):
            raise InputError(
                f"windows of {self.window_s:g} s every {self.hop_s:g} s: expected positive numbers"
            )

    def span(self, k: int) -> tuple[int, int]:
        """First sample and the one after the last; may reach over both ends of a recording."""
        if self.published:
            start_s = k * self.hop_s
            stop = int((start_s + self.window_s) * PUBLISHED_RATE_HZ)
            return int(start_s * PUBLISHED_RATE_HZ), stop
        middle = (k + 0.5) * self.hop_s * self.rate_hz
        length = max(1, round(self.window_s * self.rate_hz))
        start = round(middle - length / 2)
        return start, start + length

    def count(self, samples: int) -> int:
        """How many windows a recording has: as many as begin in it, or whose hop does."""
        rate_hz = PUBLISHED_RATE_HZ if self.published else self.rate_hz
        return len(np.arange(0, samples / rate_hz, self.hop_s))

    def spans(self, samples: int) -> list[tuple[int, int]]:
        """All windows of a recording, cut at its ends."""
        both = (self.span(k) for k in range(self.count(samples)))
        return [(max(0, start), min(samples, stop)) for start, stop in both]

    def cell_s(self, k: int, end_s: float) -> tuple[float, float]:
        """The time that a window stands for, in a recording that ends at `end_s`."""
        if self.published:
            start, stop = self.span(k)
            return start / self.rate_hz, min(end_s, stop / self.rate_hz)
        return k * self.hop_s, min(end_s, (k + 1) * self.hop_s)


def cut(blocks: Iterable[Samples], grid: WindowGrid) -> Iterator[Samples]:
    """The windows of a recording that comes in blocks; holds little more than one window.

    Each is cut at the recording's ends: the first and last ones may be shorter. A published window
    is empty where there is nothing left.
    """
    held, first = np.zeros(0, np.float32), 0  # samples, and which one of all is the first
    k = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while (span := grid.span(k))[1] <= first + len(held):
            yield held[max(0, span[0] - first) : span[1] - first]
            k += 1
            drop = max(0, min(len(held), grid.span(k)[0] - first))
            held, first = held[drop:], first + drop
    total = first + len(held)
    for last in range(k, grid.count(total)):
        start, stop = grid.span(last)
        yield held[max(0, start - first) : max(0, stop - first)]


def repeated(window: Samples, samples: int) -> Samples:
    """As many samples as asked: a shorter window is repeated, a longer one is cut.

    Raises:
        InputError: there is nothing to repeat.
    """
    if len(window) == 0:
        raise InputError("an empty window: there is no audio to tag")
    times = -(-samples // len(window))
    return np.tile(window, times)[:samples] if times > 1 else window[:samples]
