"""The curves of a PSDS (PSD-ROC) and the areas under them (arXiv 1910.08440, section 3)."""

from collections.abc import Sequence

import numpy as np

from pmam.events.event import FloatArray

BLOCK_BYTES = 2**24  # of true-positive ratios of all classes at once


def staircase(tpr: FloatArray, rate: FloatArray, e_max: float) -> tuple[FloatArray, FloatArray]:
    """The ROC of one class from its operating points, in any order.

    Points that another one beats (a higher ratio at no higher rate) are left out; "detect nothing"
    is always a point.

    Returns:
        Rising true-positive ratios and rising effective rates up to ``e_max``, from rate 0 on.
    """
    within = rate <= e_max
    tpr, rate = np.append(0.0, tpr[within]), np.append(0.0, rate[within])
    order = np.argsort(rate, kind="stable")
    rate, best = rate[order], np.maximum.accumulate(tpr[order])
    last_at_rate = np.append(rate[1:] > rate[:-1], True)
    rate, best = rate[last_at_rate], best[last_at_rate]
    rises = np.append(True, best[1:] > best[:-1])
    return best[rises], rate[rises]


def effective_curve(
    curves: Sequence[tuple[FloatArray, FloatArray]], alpha_st: float
) -> tuple[FloatArray, FloatArray]:
    """Rates of all classes' staircases, and the effective true-positive ratio at each of them.

    Args:
        curves: ratios and rates of each class.
        alpha_st: as of :func:`effective_tp_ratio`.
    """
    grid = np.unique(np.concatenate([rate for _, rate in curves]))
    effective = np.empty(len(grid))
    width = max(1, BLOCK_BYTES // (8 * len(curves)))
    for begin in range(0, len(grid), width):
        part = grid[begin : begin + width]
        tpr = np.stack([at_rates(ratio, rate, part) for ratio, rate in curves])
        effective[begin : begin + width] = effective_tp_ratio(tpr, alpha_st)
    return grid, effective


def at_rates(ratio: FloatArray, rate: FloatArray, wanted: FloatArray) -> FloatArray:
    """The true-positive ratios of a staircase at rates ``(points,)`` from 0 on."""
    return np.asarray(ratio[np.searchsorted(rate, wanted, side="right") - 1])


def effective_tp_ratio(tpr: FloatArray, alpha_st: float) -> FloatArray:
    """Mean over classes minus ``alpha_st`` standard deviations, not below 0 (1910.08440, eq. 8).

    Args:
        tpr: ``(classes, points)``.
        alpha_st: weight of the spread across classes.
    """
    effective: FloatArray = np.maximum(tpr.mean(axis=0) - alpha_st * tpr.std(axis=0), 0.0)
    return effective


def normalised_area(tpr: FloatArray, rate: FloatArray, e_max: float) -> float:
    """Area under a staircase of ``(points,)`` from ``rate[0] = 0`` to ``e_max``, over ``e_max``."""
    return float(np.diff(np.append(rate, e_max)) @ tpr) / e_max
