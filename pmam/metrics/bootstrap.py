"""How much a number owes to the choice of test clips: bootstrap over clips.

Statistics take ``clip_weights (clips,)``, how often each clip was drawn, as the ``result`` methods
of :class:`~pmam.metrics.psds.PSDSCounts`, :class:`~pmam.metrics.count_table.CountTable` and
:class:`~pmam.metrics.average_precision.RankingTable` do: the counting is done once, not at each
draw.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pmam.errors import InputError
from pmam.events.event import FloatArray

Statistic = Callable[[FloatArray], float]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number of the clips as they are, with its percentile interval over resamples."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    statistic: Statistic,
    clips: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    undefined: Literal["kept", "left out"] = "kept",
) -> Interval:
    """Percentile interval of a statistic over resamples of the clips with replacement.

    Args:
        statistic: maps ``clip_weights (clips,)`` to a number.
        clips: how many clips there are.
        draws: how many resamples.
        seed: of the resamples; equal seeds draw equal clips.
        level: part of the resamples that the interval holds.
        undefined: what becomes of resamples for which the statistic is NaN: kept, the interval is
            NaN too.

    Raises:
        InputError: when an argument is out of range.
    """
    if clips < 1 or draws < 1 or not 0 < level < 1:
        raise InputError(
            f"clips={clips}, draws={draws}, level={level}: "
            f"expected at least 1 clip and 1 draw, and a level between 0 and 1"
        )
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clips, np.full(clips, 1 / clips), size=draws)
    values = np.array([statistic(weights.astype(np.float64)) for weights in drawn])
    if undefined == "left out":
        values = values[~np.isnan(values)]
        values = values if len(values) else np.full(1, np.nan)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value=statistic(np.ones(clips)), low=float(low), high=float(high))


def paired_bootstrap(
    first: Statistic,
    second: Statistic,
    clips: int,
    *,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of ``first - second`` on the same resamples, so that hard clips cancel.

    Both statistics must be of the same clips in the same order. Arguments and errors as
    :func:`bootstrap_interval`.
    """
    return bootstrap_interval(
        lambda weights: first(weights) - second(weights),
        clips,
        draws=draws,
        seed=seed,
        level=level,
    )
