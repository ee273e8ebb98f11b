"""Every detection that any threshold produces, found without trying thresholds.

At threshold ``t`` the detections of a class are the maximal runs of frames with ``score >= t``.
As ``t`` falls a run appears, and disappears again when it grows into a longer one. So each run
lives in one interval of thresholds: it appears at its lowest score and disappears at the higher of
the two scores beside it. There are at most as many runs as frames (the nodes of the Cartesian tree
of the scores; the idea of a joint computation over thresholds is that of arXiv 2201.13148).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.events.event import FloatArray

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Segments:
    """Detections of one class in all clips, ``(segments,)`` each.

    Frames of all clips lie in one row of slots, each clip followed by one slot that holds no frame:
    so the slot of a frame is also the place of its first edge in the row of all clips' edges.

    Args:
        first: the slot of the first frame.
        end: the slot after the last frame.
        appears: the segment is a detection for thresholds ``disappears < t <= appears``.
        disappears: see ``appears``; -inf when it stays for ever.
    """

    first: IntArray
    end: IntArray
    appears: Floats
    disappears: Floats

    def take(self, which: npt.NDArray[np.bool_]) -> "Segments":
        """The segments where ``which`` is true, in the same order."""
        return Segments(
            first=self.first[which],
            end=self.end[which],
            appears=self.appears[which],
            disappears=self.disappears[which],
        )


def nearest_earlier(values: Floats, at: IntArray, reach: int, *, equal: bool) -> IntArray:
    """For each index in ``at``: the nearest earlier one with a lower (or equal) value, else -1.

    Args:
        values: ``(n,)``.
        at: ``(m,)`` indices of values above -inf.
        reach: upper bound of the distance to walk; within it an index or the start is found.
        equal: whether an equal value ends the walk too.
    """
    # lowest[k][i] is the minimum of the 2^k values that end at i. A -inf before the start ends
    # every walk, so all places move by one.
    lowest = [np.concatenate([np.full(1, -np.inf, values.dtype), values])]
    while 2 ** len(lowest) <= reach:
        block, width = lowest[-1], 2 ** (len(lowest) - 1)
        wider = block.copy()
        wider[width:] = np.minimum(block[width:], block[:-width])
        lowest.append(wider)
    target = values[at]
    place = at.copy()
    for k in reversed(range(len(lowest))):
        block_minimum = lowest[k][place]
        skip = block_minimum > target if equal else block_minimum >= target
        place -= skip * 2**k
    return place - 1


def detected_segments(slots: Floats) -> Segments:
    """All segments of one class.

    Args:
        slots: ``(slots,)`` scores of all clips, each clip followed by one -inf.
    """
    # Neighbours of equal score are in the same segments: they are walked over as one.
    begins = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
    values = slots[begins]
    silent = np.flatnonzero(values == -np.inf)
    reach = int(np.diff(silent, prepend=-1).max())
    places = np.flatnonzero(values > -np.inf)
    before = nearest_earlier(values, places, reach, equal=True)
    # Places of equal score in one segment stand for the same segment: keep the first of them.
    # values[-1] is -inf, so -1 (nothing before) reads as lower, as it should.
    first_of_ties = values[before] < values[places]
    places, before = places[first_of_ties], before[first_of_ties]
    last = len(values) - 1
    end = last - nearest_earlier(values[::-1], last - places, reach, equal=False)
    return Segments(
        first=begins[before + 1],
        end=begins[end],
        appears=values[places],
        disappears=np.maximum(values[before], values[end]),
    )


def ranges(
    starts: npt.NDArray[np.integer], ends: npt.NDArray[np.integer]
) -> tuple[IntArray, IntArray]:
    """Unroll ``range(starts[i], ends[i])`` for all i: (which i, the number) for each number."""
    counts = ends - starts
    owner = np.repeat(np.arange(len(starts)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, starts[owner] + within


def running_count(level: IntArray, step: FloatArray, levels: int) -> FloatArray:
    """The count at each level ``(levels,)``: the sum of the steps at this level and before."""
    counts: FloatArray = np.cumsum(np.bincount(level, step, minlength=levels)[:levels])
    return counts
