"""How well clips are ranked: micro and macro average precision, area under the ROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError
from pmam.metrics.ranking.average_precision import (
    Scores,
    Targets,
    average_precision,
    macro_average_precision,
)


@dataclass(frozen=True, kw_only=True)
class ClipRanking:
    """Numbers of all clips; `ap` and `auc` are of each class."""

    ap_micro: float  # of all scores of all classes in one list
    ap_macro: float  # mean over classes
    roc_auc: float  # mean over classes
    ap: dict[str, float]
    auc: dict[str, float]

    @property
    def means(self) -> dict[str, float]:
        """The three numbers that stand for all."""
        return {"ap_micro": self.ap_micro, "ap_macro": self.ap_macro, "roc_auc": self.roc_auc}


def roc_auc(scores: Scores, targets: Targets) -> float:
    """Share of pairs of a positive and a negative in which the positive has the higher score.

    Equal scores count a half (Hanley and McNeil 1982). NaN where there is no such pair.

    Args:
        scores: ``(n,)``.
        targets: ``(n,)`` booleans.

    Raises:
        InputError: when the lengths differ or a score is NaN.
    """
    if scores.shape != targets.shape or scores.ndim != 1:
        raise InputError(f"scores {scores.shape}, targets {targets.shape}: expected one length")
    if np.isnan(scores).any():
        raise InputError("scores hold NaN: they have no rank; check the model")
    positives = int(targets.sum())
    pairs = positives * (len(targets) - positives)
    if not pairs:
        return float("nan")
    from scipy.stats import rankdata  # the slowest part of scipy to load

    ranks = float(rankdata(scores)[targets].sum())
    return (ranks - positives * (positives + 1) / 2) / pairs


def clip_ranking(scores: Scores, targets: Targets, classes: Sequence[str]) -> ClipRanking:
    """All of it; classes without positives, or without negatives, are left out of means.

    Args:
        scores: ``(clips, classes)``.
        targets: ``(clips, classes)`` booleans.
        classes: names of the columns.

    Raises:
        InputError: when shapes do not fit, a score is NaN, or no class has a positive.
    """
    macro = macro_average_precision(scores, targets, classes)
    auc = {name: roc_auc(scores[:, n], targets[:, n]) for n, name in enumerate(classes)}
    told = [value for value in auc.values() if not np.isnan(value)]
    return ClipRanking(
        ap_micro=average_precision(scores.ravel(), targets.ravel()),
        ap_macro=float(macro.value),
        roc_auc=float(np.mean(told)) if told else float("nan"),
        ap={name: float(value) for name, value in macro.per_class.items()},
        auc=auc,
    )
