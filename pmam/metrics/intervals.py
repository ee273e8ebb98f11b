"""How much numbers owe to the choice of test clips: bootstrap over clips, or over recordings.

Everything that tells an interval makes it here. What is counted once gives its numbers for many
resamples at a time, from ``weights (draws, clips)``: how often each clip was drawn.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError
from pmam.events.event import FloatArray
from pmam.metrics.results import Numbers

NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its percentile interval over resamples.

    Args:
        value: of the clips as they are; NaN where it is not defined.
        low, high: NaN without resamples.
        below_zero: of a difference, the share of resamples in which it is below zero.
    """

    value: float
    low: float
    high: float
    below_zero: float = NAN


@dataclass(frozen=True, kw_only=True)
class Row(Interval):
    """One number of one system.

    Args:
        metric: its name.
        of: a class, or `macro` or `micro`.
    """

    metric: str
    of: str


def cluster_draws(groups: Sequence[Hashable], draws: int, seed: int = 0) -> FloatArray:
    """Weights ``(draws, clips)`` of resamples in which clips of one group are drawn together.

    Args:
        groups: ``(clips,)`` what is drawn: a clip's recording, or the clip itself.
        draws: how many resamples.
        seed: equal seeds draw equal groups.

    Raises:
        InputError: there is no clip, or the number of resamples is negative.
    """
    if not len(groups) or draws < 0:
        raise InputError(f"{len(groups)} clips, {draws} resamples: expected a clip, and 0 or more")
    names, group = np.unique(np.array(groups), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return drawn[:, group].astype(np.float64)


def with_each_once(draws: FloatArray) -> FloatArray:
    """The clips as they are, and then the resamples: ``(1 + draws, clips)``."""
    return np.vstack([np.ones(draws.shape[1]), draws])


def interval_of(
    value: float, resamples: FloatArray, level: float = 0.95, *, signed: bool = False
) -> Interval:
    """The percentile interval of a number.

    Args:
        value: of the clips as they are.
        resamples: ``(draws,)``. Those in which the number is not defined (NaN), for lack of the
            class, say nothing of it.
        level: part of the resamples that the interval holds.
        signed: whether the share below zero is told.

    Raises:
        InputError: the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level}: expected a part between 0 and 1")
    defined = resamples[~np.isnan(resamples)]
    if not len(defined):
        return Interval(value=float(value), low=NAN, high=NAN)
    low, high = quantiles(defined, [(1 - level) / 2, (1 + level) / 2])
    below = float((defined < 0).mean()) if signed else NAN
    return Interval(value=float(value), low=float(low), high=float(high), below_zero=below)


def quantiles(values: FloatArray, parts: Sequence[float]) -> FloatArray:
    """Quantiles of numbers that may be infinite, such as d' of an AUC of 1.

    As `np.quantile`, which makes NaN of infinite ones: they are equal to themselves here, and what
    lies between one of them and a finite number is infinite.

    Args:
        values: ``(n,)``, one or more, without NaN.
        parts: of them that lie below, each in [0, 1].
    """
    places = np.asarray(parts, dtype=np.float64) * (len(values) - 1)
    return np.interp(places, np.arange(len(values)), np.sort(values))


def bootstrap_interval(
    statistic: Callable[[FloatArray], float], draws: FloatArray, level: float = 0.95
) -> Interval:
    """The interval of one number that is made anew for each resample.

    Args:
        statistic: maps ``(clips,)`` weights to a number.
        draws: ``(draws, clips)``, as of :func:`cluster_draws`.
        level: as of :func:`interval_of`.
    """
    values = np.array([statistic(weights) for weights in with_each_once(draws)])
    return interval_of(values[0], values[1:], level)


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Numbers of the clips, and of each resample of them, ``(draws,)``; by metric and class."""

    value: Mapping[tuple[str, str], float]
    resamples: Mapping[tuple[str, str], FloatArray]

    @classmethod
    def of(cls, numbers: Numbers) -> "Resampled":
        """Of numbers ``(1 + draws,)``, whose first is that of the clips as they are."""
        each = {(metric, of): x for metric, found in numbers.items() for of, x in found.items()}
        return cls(
            value={name: float(x[0]) for name, x in each.items()},
            resamples={name: x[1:] for name, x in each.items()},
        )

    def classes(self, metric: str) -> list[str]:
        """The classes that a metric has numbers of."""
        return [of for name, of in self.value if name == metric and of not in ("macro", "micro")]

    def interval(self, metric: str, of: str = "macro", level: float = 0.95) -> Interval:
        """One number with its interval."""
        return interval_of(self.value[metric, of], self.resamples[metric, of], level)

    def difference(
        self, other: "Resampled", metric: str, of: str = "macro", level: float = 0.95
    ) -> Interval:
        """One number minus that of another system, over the same resamples."""
        name = metric, of
        with np.errstate(invalid="ignore"):  # infinite both
            change = self.resamples[name] - other.resamples[name]
        return interval_of(self.value[name] - other.value[name], change, level, signed=True)

    def rows(self, level: float = 0.95) -> list[Row]:
        """Each number with its interval."""
        return [
            Row(metric=metric, of=of, **vars(self.interval(metric, of, level)))
            for metric, of in self.value
        ]

    def minus(self, other: "Resampled", level: float = 0.95) -> list[Row]:
        """The differences of the numbers that both have, with intervals over the same resamples."""
        return [
            Row(metric=metric, of=of, **vars(self.difference(other, metric, of, level)))
            for metric, of in self.value
            if (metric, of) in other.value
        ]
