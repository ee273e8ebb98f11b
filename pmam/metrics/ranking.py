"""Areas under curves of ranked examples, frames, segments or clips: AP, AUC, d', partial AUC."""

import numpy as np
from scipy.special import ndtri

from pmam.events.event import FloatArray
from pmam.metrics.average_precision import Ranking, RankingTable, Targets
from pmam.metrics.count_table import mean_of_defined
from pmam.metrics.results import Numbers


def roc_points(
    ranking: Ranking, targets: Targets, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """False and true positive rates from (0, 0) to (1, 1), a point for each distinct score.

    Args:
        ranking: of the examples.
        targets: ``(n,)`` booleans.
        weights: ``(n,)`` how often each example counts.

    Returns:
        NaN where there are no negatives, or no positives.
    """
    positive = np.cumsum((weights * targets)[ranking.order])[ranking.last_of_ties]
    negative = np.cumsum((weights * ~targets)[ranking.order])[ranking.last_of_ties]
    with np.errstate(invalid="ignore"):
        return np.append(0.0, negative / negative[-1]), np.append(0.0, positive / positive[-1])


def area(fpr: FloatArray, tpr: FloatArray) -> float:
    """Area under the ROC curve, straight between its points: ties count a half."""
    return float(np.trapezoid(tpr, fpr))


def partial_area(fpr: FloatArray, tpr: FloatArray, max_fpr: float) -> float:
    """Area under the ROC curve up to a false positive rate, over that rate.

    The curve is a staircase, as that of PSDS and of DCASE 2024's mpAUC: between two points the
    lower true positive rate counts.
    """
    if np.isnan(fpr).any() or np.isnan(tpr).any():
        return float("nan")
    inside = fpr <= max_fpr
    return float(np.diff(np.append(fpr[inside], max_fpr)) @ tpr[inside]) / max_fpr


def d_prime(auc: float) -> float:
    """Sensitivity index of equal normal distributions: the square root of 2 times z(AUC)."""
    return float(np.sqrt(2) * ndtri(auc))


def ranking_numbers(
    table: RankingTable, clip_weights: FloatArray | None = None, max_fpr: float | None = None
) -> Numbers:
    """AP, AUC and d', and partial AUC where ``max_fpr`` is given; macro over defined classes.

    The macro d' is that of the macro AUC, as AudioSet's is; micro is of all scores in one list.
    """
    weights = (np.ones(table.clips) if clip_weights is None else clip_weights)[table.clip]
    numbers: Numbers = {name: {} for name in ("ap", "auc", "d_prime")}
    if max_fpr is not None:
        numbers["partial_auc"] = {}

    def add(name: str, ranking: Ranking, targets: Targets, weights: FloatArray) -> None:
        fpr, tpr = roc_points(ranking, targets, weights)
        auc = area(fpr, tpr)
        numbers["ap"][name] = ranking.average_precision(targets, weights)
        numbers["auc"][name], numbers["d_prime"][name] = auc, d_prime(auc)
        if max_fpr is not None:
            numbers["partial_auc"][name] = partial_area(fpr, tpr, max_fpr)

    for label, (name, ranking) in enumerate(zip(table.classes, table.rankings, strict=True)):
        add(name, ranking, table.targets[:, label], weights)
    found: Numbers = {}
    for metric, each in numbers.items():
        macro = mean_of_defined(np.array(list(each.values())))
        found[metric] = {"macro": macro, **each}
    found["d_prime"]["macro"] = d_prime(found["auc"]["macro"])
    add("micro", table.pooled, table.targets.ravel(), np.repeat(weights, len(table.classes)))
    for metric, each in numbers.items():
        found[metric]["micro"] = each["micro"]
    return found
