"""Sequences of any length through a model of one length: windows, added up where they overlap."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Length and overlap of windows, in frames of the model."""

    frames: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.frames:
            raise InputError(
                f"windows of {self.frames} frames that overlap by {self.overlap}: "
                "expected an overlap of at least 0 and below the window"
            )

    @classmethod
    def of(cls, window_s: float, overlap_s: float, hop_s: float) -> "Windows":
        """Windows given in seconds, for a model with this hop."""
        return cls(frames=max(1, round(window_s / hop_s)), overlap=round(overlap_s / hop_s))


def split(
    blocks: Iterable[Floats], windows: Windows, units_per_frame: int
) -> Iterator[tuple[int, Floats]]:
    """Cut a stream into windows: `(first frame, units)` pairs, in order.

    The stream comes in blocks of any length, `(units,)` samples or `(units, channels)` inputs.
    Every window but a lone short one is full: the last one starts earlier, so that it ends where
    the stream does. At most one block and two windows are in memory.
    """
    size, step = (
        windows.frames * units_per_frame,
        (windows.frames - windows.overlap) * units_per_frame,
    )
    held: Floats | None = None  # the stream from unit `start` on
    start, due = 0, 0  # `due` is where the next window begins
    for block in blocks:
        held = block if held is None else np.concatenate([held, block])
        while start + len(held) > due + size:
            # A copy, or a window that waits for others would keep the whole of `held`.
            yield due // units_per_frame, held[due - start : due - start + size].copy()
            due += step
            # What may still be needed: a last window that ends with the stream reaches back.
            keep_from = max(start, due - size)
            held, start = held[keep_from - start :], keep_from
    if held is None or start + len(held) == 0:
        return
    end = start + len(held)
    first = max(0, -(-(end - size) // units_per_frame))  # whole frames, never past the end
    first = min(first, due // units_per_frame)
    yield first, held[first * units_per_frame - start :]


def fade(frames: int, overlap: int) -> Floats:
    """Weights `(frames,)` that rise over the overlap, stay at 1 and fall again."""
    position = np.arange(frames) + 0.5
    ramp = max(overlap, 1)
    weights: Floats = np.minimum(1.0, np.minimum(position, position[::-1]) / ramp)
    return weights.astype(np.float32)


class OverlapAdd:
    """Weighted mean of overlapping windows of frames; holds what later windows may still change.

    Args:
        overlap: frames over which a window fades in and out.
    """

    def __init__(self, overlap: int) -> None:
        self.overlap = overlap
        self.start = 0
        self.sums: npt.NDArray[np.float64] | None = None  # (frames, channels) from `start` on
        self.weights = np.zeros(0)

    def add(self, first: int, frames: Floats) -> Floats:
        """Take the window `(frames, channels)` that begins at frame `first`.

        Returns the frames before `first` that no later window reaches: windows come in order.
        """
        if self.sums is None:
            self.sums = np.zeros((0, frames.shape[1]))
        missing = first + len(frames) - self.start - len(self.sums)
        if missing > 0:
            self.sums = np.pad(self.sums, ((0, missing), (0, 0)))
            self.weights = np.pad(self.weights, (0, missing))
        weight = fade(len(frames), self.overlap)
        here = slice(first - self.start, first - self.start + len(frames))
        self.sums[here] += weight[:, None] * frames
        self.weights[here] += weight
        return self._take(first - self.start)

    def finish(self) -> Floats:
        """The frames that are left."""
        return self._take(len(self.weights))

    def _take(self, count: int) -> Floats:
        if self.sums is None:
            raise InputError("no window was added: the stream holds nothing")
        done = self.sums[:count] / self.weights[:count, None]
        self.sums, self.weights = self.sums[count:], self.weights[count:]
        self.start += count
        return done.astype(np.float32)


def overlap_added(
    windows: Iterable[tuple[int, Floats]],
    apply: Callable[[Floats], Floats],
    overlap: int,
    batch: int | Callable[[], int],
    in_order: Callable[..., Iterator[Floats]] = map,
) -> Iterator[Floats]:
    """A stream of windows through a model: its frames `(frames, channels)`, in blocks.

    Args:
        windows: `(first frame, units)`, in order; neighbours of one length go in together.
        apply: windows `(B, units, ...)` to their frames `(B, frames, channels)`.
        overlap: frames that neighbours share.
        batch: windows that go in together at most; it may change on the way.
        in_order: calls as `map` does; another one may call ahead, on threads.
    """
    adder = OverlapAdd(overlap)
    begun: deque[list[int]] = deque()  # first frames of the windows that went in

    def groups() -> Iterator[Floats]:
        size = batch if callable(batch) else lambda: batch
        for _, alike in itertools.groupby(windows, key=lambda window: len(window[1])):
            while group := list(itertools.islice(alike, size())):
                begun.append([first for first, _ in group])
                yield np.stack([units for _, units in group])

    for frames in in_order(apply, groups()):
        for first, of_window in zip(begun.popleft(), frames, strict=True):
            yield adder.add(first, of_window)
    yield adder.finish()
