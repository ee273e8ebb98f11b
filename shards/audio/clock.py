"""Whether decoded sound is without a gap: time stamps against samples that were counted."""

from collections import deque
from typing import NamedTuple

from shards.audio.errors import damaged

AROUND = 8  # frames before and behind, all of which a gap must part: time stamps also jitter
GAP_S = 0.015  # less than any codec's lost frame
EDGE_GAP_S = 0.1  # with fewer frames around
WMA_GAP_S = 0.06  # its time stamps are those of packets, whose frames reach into the next
TICKS = 2  # of the container's clock, by which stamps are rounded


class _Stamp(NamedTuple):
    """How much later a frame is than the samples before it, where in the sound and the file."""

    late_s: float
    second: float
    byte: int


class Clock:
    """Compares the time of each frame with the number of samples before it.

    A clock that runs a little faster or slower than the sound is no gap, nor is a stamp that is
    late by itself; sound that is missing makes all that follow late.

    Args:
        name: what errors call the file.
        codec: FFmpeg's name.
        tick_s: of the container's clock.
        rate_hz: of the samples.
    """

    def __init__(self, name: str, codec: str, tick_s: float, rate_hz: int) -> None:
        self._name, self._rate_hz = name, rate_hz
        self._gap_s = max(WMA_GAP_S if codec.startswith("wma") else GAP_S, TICKS * tick_s)
        self._start_s: float | None = None
        self._stamps: deque[_Stamp] = deque(maxlen=2 * AROUND)
        self._behind = 0  # stamps that were not yet compared

    def add(self, time_s: float, done: int, byte: int) -> None:
        """Note a frame that comes after `done` samples.

        Raises:
            AudioError: sound is missing, with its second and byte.
        """
        if self._start_s is None:
            self._start_s = time_s - done / self._rate_hz
        second = done / self._rate_hz
        self._stamps.append(_Stamp(time_s - self._start_s - second, second, byte))
        self._behind += 1
        if self._behind == AROUND:
            self._compare()

    def end(self) -> None:
        """Compare the last frames; raises what `add` raises."""
        while self._behind:
            self._compare()

    def _compare(self) -> None:
        stamps = list(self._stamps)
        place = len(stamps) - self._behind
        before = stamps[max(0, place - AROUND) : place]
        behind = stamps[place : place + AROUND]
        self._behind -= 1
        if not before:
            return
        missing_s = min(s.late_s for s in behind) - max(s.late_s for s in before)
        is_edge = len(before) < AROUND or len(behind) < AROUND
        if missing_s > (max(EDGE_GAP_S, self._gap_s) if is_edge else self._gap_s):
            raise damaged(
                self._name,
                f"{missing_s:.3f} s of sound are missing",
                byte=behind[0].byte,
                second=behind[0].second,
            )
