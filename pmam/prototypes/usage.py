"""What prototypes are used for: sums over frames, and each prototype's best segments."""

import hashlib
import heapq
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCORE_DIGITS = 6  # below that, scores differ by rounding alone


class PrototypeUsage:
    """Sums over frames of the posteriors of K prototypes; those of two parts add up."""

    def __init__(self, prototypes: int) -> None:
        self.counts: Ints = np.zeros(prototypes, np.int64)  # frames of which each is the likeliest
        self.maxima: Doubles = np.zeros(prototypes)  # sums of their posteriors in these frames
        self.mass: Doubles = np.zeros(prototypes)  # sums of their posteriors in all frames
        self.entropy = 0.0  # sum over frames, nats
        self.empty = 0  # frames in which every posterior was stored as 0

    @property
    def frames(self) -> int:
        """How many frames were added."""
        return int(self.counts.sum()) + self.empty

    def add(self, posteriors: Floats) -> Ints:
        """Add frames `(n, K)`; returns the likeliest prototype of each `(n,)`, -1 for none."""
        maxima = posteriors.max(axis=1)
        likeliest = np.where(maxima > 0, posteriors.argmax(axis=1), -1)
        used = likeliest >= 0
        prototypes = len(self.counts)
        self.counts += np.bincount(likeliest[used], minlength=prototypes)
        self.maxima += np.bincount(likeliest[used], maxima[used], minlength=prototypes)
        self.mass += posteriors.sum(axis=0, dtype=np.float64)
        positive = posteriors[posteriors > 0].astype(np.float64)
        self.entropy -= float(positive @ np.log(positive))
        self.empty += int(len(used) - used.sum())
        return np.asarray(likeliest, np.int64)

    def update(self, other: "PrototypeUsage") -> None:
        """Add the sums of another part."""
        for name in ("counts", "maxima", "mass", "entropy", "empty"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PrototypeUsage":
        """What `to_json` described."""
        usage = cls(len(values["counts"]))
        for name, value in values.items():
            kind = type(getattr(usage, name))
            setattr(usage, name, np.array(value) if kind is np.ndarray else value)
        return usage


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of a clip, and how much of a prototype it is: its mean and greatest posterior."""

    key: str
    start_s: float
    stop_s: float
    mean_posterior: float
    max_posterior: float


def window_means(posteriors: Floats, positions: Ints, width: int) -> tuple[Ints, Doubles]:
    """Mean posteriors of all windows of `width` steps of the time grid that begin with a frame.

    Args:
        posteriors: `(n, K)`, of which only the frames at `positions` may be kept.
        positions: of the frames on the grid, rising, `(n,)`.
        width: of a window; one that would pass the last frame is left out, unless it is the only.

    Returns:
        The first frame of each window `(m,)`, and the means over its kept frames `(m, K)`.
    """
    stops = np.searchsorted(positions, positions + width)  # (n,)
    inside = positions + width <= positions[-1] + 1
    inside[0] = True
    firsts = np.flatnonzero(inside)
    sums = np.concatenate([np.zeros((1, posteriors.shape[1])), np.cumsum(posteriors, 0, float)])
    means = (sums[stops[firsts]] - sums[firsts]) / (stops[firsts] - firsts)[:, None]
    return firsts, np.round(means, SCORE_DIGITS)


class TopSegments:
    """The segments of each of K prototypes with the greatest mean posteriors.

    Among equals a hash decides, which no order of clips and no number of parts changes: where
    hundreds of segments have a posterior of 1, those shown come from anywhere. Of two segments
    of one clip that overlap, the better one alone is kept.

    Args:
        prototypes: K.
        size: segments per prototype.
        per_clip: of them from one clip, so that the list is varied.
    """

    def __init__(self, prototypes: int, size: int, per_clip: int) -> None:
        self.size, self.per_clip = size, per_clip
        self._heaps: list[list[tuple[float, str, Segment]]] = [[] for _ in range(prototypes)]

    def least(self) -> Doubles:
        """The score `(K,)` below which a segment has no place."""
        return np.array([h[0][0] if len(h) == self.size else 0.0 for h in self._heaps])

    def push(self, prototype: int, segment: Segment) -> None:
        """Keep a segment if it is among the best."""
        text = f"{prototype}/{segment.key}/{segment.start_s:.3f}"
        tie = hashlib.sha256(text.encode()).hexdigest()[:16]
        heap, entry = self._heaps[prototype], (segment.mean_posterior, tie, segment)
        if len(heap) < self.size:
            heapq.heappush(heap, entry)
        elif entry[:2] > heap[0][:2]:
            heapq.heapreplace(heap, entry)

    def add_clip(
        self,
        key: str,
        blocks: Iterable[tuple[Floats, Ints]],
        *,
        width: int,
        hop_s: float,
        first_frame_s: float = 0.0,
    ) -> None:
        """Look for segments of `width` steps of the grid in one clip.

        Args:
            key: of the clip.
            blocks: posteriors `(n, K)` and the grid positions of these frames `(n,)`; a segment
                does not go from one block on to the next.
            width: of a segment.
            hop_s: of the grid.
            first_frame_s: where it begins.
        """
        found: list[list[Segment]] = [[] for _ in self._heaps]
        for posteriors, positions in blocks:
            firsts, means = window_means(posteriors, positions, width)
            best, least = means.max(axis=0), self.least()
            for prototype in np.flatnonzero((best > 0) & (best >= least)):
                scores = means[:, prototype].copy()
                for _ in range(self.per_clip):
                    window = int(scores.argmax())
                    if scores[window] <= 0 or scores[window] < least[prototype]:
                        break
                    start = positions[firsts[window]]
                    stop = min(start + width, positions[-1] + 1)
                    inside = (positions >= start) & (positions < stop)
                    segment = Segment(
                        key=key,
                        start_s=round(float(first_frame_s + start * hop_s), 6),
                        stop_s=round(float(first_frame_s + stop * hop_s), 6),
                        mean_posterior=float(scores[window]),
                        max_posterior=float(posteriors[inside, prototype].max()),
                    )
                    found[prototype].append(segment)
                    scores[np.abs(positions[firsts] - start) < width] = 0
        for prototype, segments in enumerate(found):
            segments.sort(key=lambda s: (-s.mean_posterior, s.start_s))
            for segment in segments[: self.per_clip]:
                self.push(prototype, segment)

    def update(self, other: "TopSegments") -> None:
        """Add the segments of another part, which has other clips."""
        for prototype, segments in enumerate(other.best()):
            for segment in segments:
                self.push(prototype, segment)

    def best(self) -> list[list[Segment]]:
        """The segments of each prototype, the best first."""
        return [
            [segment for *_, segment in sorted(heap, key=lambda e: e[:2], reverse=True)]
            for heap in self._heaps
        ]

    def to_json(self) -> list[list[dict[str, Any]]]:
        """Plain values."""
        return [[asdict(segment) for segment in segments] for segments in self.best()]

    @classmethod
    def from_json(
        cls, values: list[list[dict[str, Any]]], size: int, per_clip: int
    ) -> "TopSegments":
        """What `to_json` described."""
        top = cls(len(values), size, per_clip)
        for prototype, segments in enumerate(values):
            for segment in segments:
                top.push(prototype, Segment(**segment))
        return top
