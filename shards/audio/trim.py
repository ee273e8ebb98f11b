"""Where in a recording something sounds, by short-time energy."""

import numpy as np
import numpy.typing as npt

from shards.audio.decoding import AudioError, Samples

FRAME_S = 0.02
HOP_S = 0.01
BELOW_PEAK_DB = 25.0  # quieter than the loudest frame by this much counts as silence
MARGIN_S = 0.01  # kept around each part, so that fades do not eat its attack
SILENCE_RMS = 1e-4  # -80 dBFS


def trim_by_energy(
    samples: Samples,
    sample_rate_hz: int,
    name: str,
    *,
    below_peak_db: float = BELOW_PEAK_DB,
    gap_s: float = 0.25,
) -> list[tuple[int, int]]:
    """The active parts `[start, stop)` of a recording `(samples,)`, in samples and in order.

    A frame is active when its RMS is at most `below_peak_db` under that of the loudest frame;
    parts with less than `gap_s` between them are one. Silence raises `AudioError`.
    """
    levels = short_time_power(samples, sample_rate_hz)  # (frames,)
    if np.sqrt(levels.max()) < SILENCE_RMS:
        raise AudioError(f"{name}: silent (below -80 dBFS throughout); leave it out")
    active = levels >= levels.max() * 10 ** (-below_peak_db / 10)
    changes = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
    hop = round(HOP_S * sample_rate_hz)
    margin = round(MARGIN_S * sample_rate_hz)
    parts: list[tuple[int, int]] = []
    for first, end in changes.reshape(-1, 2).tolist():
        start = max(0, first * hop - margin)
        # frame `end - 1` is the last active one and reaches a whole frame from its start
        stop = min(len(samples), (end - 1) * hop + round(FRAME_S * sample_rate_hz) + margin)
        if parts and start - parts[-1][1] < gap_s * sample_rate_hz:
            parts[-1] = (parts[-1][0], stop)
        else:
            parts.append((start, stop))
    return parts


def short_time_power(samples: Samples, sample_rate_hz: int) -> npt.NDArray[np.float64]:
    """Mean square of frames of 20 ms, one every 10 ms, `(frames,)`; the end is zero-padded."""
    hop = round(HOP_S * sample_rate_hz)
    hops = -(-len(samples) // hop)
    padded = np.zeros((hops + 1) * hop)
    padded[: len(samples)] = samples
    sums = np.square(padded).reshape(hops + 1, hop).sum(axis=1)  # (hops + 1,)
    return np.asarray((sums[:-1] + sums[1:]) / (2 * hop))


def parts_of_at_least(
    parts: list[tuple[int, int]], shortest: int, total: int, name: str, sample_rate_hz: int
) -> list[tuple[int, int]]:
    """The parts of `shortest` samples or more.

    Where there are none, the longest is widened to `shortest` with what lies around it in the
    recording of `total` samples; a recording that is shorter itself raises `AudioError`.
    """
    if kept := [part for part in parts if part[1] - part[0] >= shortest]:
        return kept
    if total < shortest:
        raise AudioError(
            f"{name}: lasts {total / sample_rate_hz:.3f} s; expected "
            f"{shortest / sample_rate_hz:g} s or more for an event: lower the shortest event "
            "(--scene.event-min-s), or leave it out"
        )
    start, stop = max(parts, key=lambda part: part[1] - part[0])
    start = min(max(0, (start + stop - shortest) // 2), total - shortest)
    return [(start, start + shortest)]
