"""All numbers of one or several systems with their intervals, over the same resamples."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError
from pmam.events.event import FloatArray
from pmam.metrics.results import Counted, Numbers


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number of one system.

    Args:
        metric: its name.
        of: a class, or `macro` or `micro`.
        value: of the clips as they are; NaN where it is not defined.
        low, high: its percentile interval; NaN without resamples.
        below_zero: of a difference, the share of resamples in which it is below zero.
    """

    metric: str
    of: str
    value: float
    low: float
    high: float
    below_zero: float = float("nan")


def cluster_draws(groups: Sequence[str], draws: int, seed: int) -> FloatArray:
    """Weights ``(draws, clips)`` of resamples in which clips of one group are drawn together.

    Args:
        groups: ``(clips,)`` what is drawn: a clip's recording, or the clip itself.
        draws: how many resamples.
        seed: equal seeds draw equal groups.
    """
    names, group = np.unique(np.array(groups, dtype=np.str_), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return drawn[:, group].astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Numbers of the clips, and of each resample of them, ``(draws, numbers)``."""

    names: list[tuple[str, str]]  # metric, and what of
    value: FloatArray
    resamples: FloatArray

    @classmethod
    def of(
        cls, counted: Counted, draws: FloatArray, tell: Callable[[], None] = lambda: None
    ) -> "Resampled":
        """All numbers of one system.

        Args:
            counted: gives the numbers.
            draws: ``(draws, clips)``.
            tell: called after each resample.
        """
        numbers = counted(None)
        names = [(metric, of) for metric, values in numbers.items() for of in values]
        rows = []
        for weights in draws:
            rows.append(_values(_numbers_of(counted, weights), names))
            tell()
        resamples = np.array(rows, dtype=np.float64).reshape(len(draws), len(names))
        return cls(names=names, value=_values(numbers, names), resamples=resamples)

    def rows(self, level: float = 0.95) -> list[Row]:
        """Each number with its interval."""
        return _rows(self.names, self.value, self.resamples, level, signed=False)

    def minus(self, other: "Resampled", level: float = 0.95) -> list[Row]:
        """The differences of the numbers that both have, with intervals over the same resamples."""
        names = [name for name in self.names if name in set(other.names)]
        own = [self.names.index(name) for name in names]
        its = [other.names.index(name) for name in names]
        return _rows(
            names,
            self.value[own] - other.value[its],
            self.resamples[:, own] - other.resamples[:, its],
            level,
            signed=True,
        )


def _numbers_of(counted: Counted, weights: FloatArray) -> Numbers:
    """NaN where a resample has no event of any class."""
    try:
        return counted(weights)
    except InputError:
        return {}


def _values(numbers: Mapping[str, Mapping[str, float]], names: list[tuple[str, str]]) -> FloatArray:
    nan = float("nan")
    return np.array([numbers.get(metric, {}).get(of, nan) for metric, of in names])


def _rows(
    names: list[tuple[str, str]],
    value: FloatArray,
    resamples: FloatArray,
    level: float,
    *,
    signed: bool,
) -> list[Row]:
    rows = []
    for number, (metric, of) in enumerate(names):
        # Resamples in which the number is not defined, for lack of the class, say nothing of it.
        defined = resamples[:, number][~np.isnan(resamples[:, number])]
        low, high, below = (float("nan"),) * 3
        if len(defined):
            low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
            below = float((defined < 0).mean()) if signed else below
        rows.append(
            Row(
                metric=metric,
                of=of,
                value=float(value[number]),
                low=float(low),
                high=float(high),
                below_zero=below,
            )
        )
    return rows
