"""What metrics return: one number, and the same number for each class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pmam.errors import InputError
from pmam.events.event import FloatArray


class MetricResult(Protocol):
    """Any metric's result; most hold more than this."""

    @property
    def value(self) -> float:
        """The number to report."""

    @property
    def per_class(self) -> Mapping[str, float]:
        """The number of each class; NaN where it is undefined."""


@dataclass(frozen=True, kw_only=True)
class ClassMean:
    """A mean over classes, and what it is the mean of (NaN: undefined, left out of the mean)."""

    value: float
    per_class: dict[str, float]

    @classmethod
    def of(cls, per_class: dict[str, float]) -> "ClassMean":
        """The mean over the classes whose number is defined.

        Raises:
            InputError: when that is none of them.
        """
        defined = [number for number in per_class.values() if not np.isnan(number)]
        if not defined:
            raise InputError(f"no positive example of any of the classes {list(per_class)}")
        return cls(value=float(np.mean(defined)), per_class=per_class)


# By metric and then by class (or `macro`, `micro`): its value for each row of weights, `(draws,)`.
Numbers = dict[str, dict[str, FloatArray]]
