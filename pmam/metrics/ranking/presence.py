"""Numbers of yes-or-no answers and their scores: what TMRL reports, for one class or several.

All take `weights (n,)`, how often each example counts, so that intervals come by `intervals`.
A number that is not defined (no positives, no negatives) is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.events.event import FloatArray
from pmam.metrics.clustering import normalised_mutual_information
from pmam.metrics.intervals import Interval, bootstrap_interval, cluster_draws

Booleans = npt.NDArray[np.bool_]
MAX_FPR, MIN_TPR = 0.3, 0.7


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What was said of examples, and what is true.

    Args:
        scores: `(n,)`, the higher the surer.
        said: `(n,)` whether they were said to be positive.
        true: `(n,)` whether they are.
        clip: `(n,)` the clip of each: those of one clip are drawn together in intervals.
    """

    scores: FloatArray
    said: Booleans
    true: Booleans
    clip: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        shapes = {self.scores.shape, self.said.shape, self.true.shape, self.clip.shape}
        if len(shapes) > 1 or self.scores.ndim != 1 or not len(self.scores):
            raise InputError(f"answers of the shapes {shapes}: expected one length of at least 1")
        if np.isnan(self.scores).any():
            raise InputError("scores hold NaN: they have no rank; check the tagger")


def confusion(answers: Answers, weights: FloatArray) -> FloatArray:
    """`[[true negatives, false positives], [false negatives, true positives]]`."""
    counts = np.zeros((2, 2))
    np.add.at(counts, (answers.true.astype(int), answers.said.astype(int)), weights)
    return counts


def accuracy(answers: Answers, weights: FloatArray) -> float:
    """The share of right answers."""
    total = weights.sum()
    return float(weights @ (answers.said == answers.true) / total) if total else float("nan")


def micro_f1(answers: Answers, weights: FloatArray) -> float:
    """`2 TP / (2 TP + FP + FN)` over all examples and classes together."""
    (_, false_positive), (false_negative, hit) = confusion(answers, weights)
    either = 2 * hit + false_positive + false_negative
    return float(2 * hit / either) if either else float("nan")


def rmse(answers: Answers, weights: FloatArray) -> float:
    """Root of the mean square of answers of 0 and 1 less the truth: `sqrt(1 - accuracy)`."""
    return float(np.sqrt(1 - accuracy(answers, weights)))


def roc_curve(answers: Answers, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """False and true positive rates from (0, 0) to (1, 1), a point for each distinct score."""
    order = np.argsort(-answers.scores, kind="stable")
    last = np.append(np.diff(answers.scores[order]) != 0, True)
    positives = np.cumsum((weights * answers.true)[order])[last]
    negatives = np.cumsum((weights * ~answers.true)[order])[last]
    with np.errstate(invalid="ignore"):
        fpr, tpr = negatives / negatives[-1], positives / positives[-1]
    return np.append(0.0, fpr), np.append(0.0, tpr)


def auc(answers: Answers, weights: FloatArray) -> float:
    """The area under the curve of `roc_curve`."""
    fpr, tpr = roc_curve(answers, weights)
    return float(np.trapezoid(tpr, fpr))


def partial_auc(
    answers: Answers, weights: FloatArray, max_fpr: float = MAX_FPR, min_tpr: float = MIN_TPR
) -> float:
    """The share of the box `FPR <= max_fpr, TPR >= min_tpr` that lies under the curve.

    Two-way partial AUC (arXiv 2103.00767, section 3), 1 for a perfect ranking.
    """
    fpr, tpr = roc_curve(answers, weights)
    if np.isnan(fpr).any() or np.isnan(tpr).any():
        return float("nan")
    # The curve's own points, and where it crosses the sides of the box.
    steps = np.flatnonzero((tpr[:-1] < min_tpr) & (tpr[1:] > min_tpr))
    share = (min_tpr - tpr[steps]) / (tpr[steps + 1] - tpr[steps])
    crossing = fpr[steps] + share * (fpr[steps + 1] - fpr[steps])
    xs = np.concatenate([fpr, crossing])
    ys = np.concatenate([tpr, np.full(len(steps), min_tpr)])
    order = np.lexsort((ys, xs))
    xs, ys = xs[order], ys[order]
    edge = float(np.interp(max_fpr, xs, ys))
    inside = xs <= max_fpr
    xs, ys = np.append(xs[inside], max_fpr), np.append(ys[inside], edge)
    area = np.trapezoid(np.maximum(ys - min_tpr, 0), xs)
    return float(area / (max_fpr * (1 - min_tpr)))


def adjusted_rand_index(answers: Answers, weights: FloatArray) -> float:
    """How two partitions agree beyond chance, over pairs of examples (Hubert and Arabie 1985)."""
    counts = confusion(answers, weights)

    def pairs(n: FloatArray) -> float:
        return float((n * (n - 1) / 2).sum())

    both, true, said = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    everything = pairs(counts.sum(keepdims=True))
    if everything == 0:
        return float("nan")
    chance, most = true * said / everything, (true + said) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def mutual_information(answers: Answers, weights: FloatArray) -> float:
    """Normalised mutual information of answers and truth."""
    counts = confusion(answers, weights)
    held = np.argwhere(counts > 0)
    if not len(held):
        return float("nan")
    true, said = held.T
    return normalised_mutual_information(true, said, counts[true, said].astype(np.int64))


Number = Callable[[Answers, FloatArray], float]
NUMBERS: dict[str, Number] = {
    "accuracy": accuracy,
    "micro_f1": micro_f1,
    "auc": auc,
    "partial_auc": partial_auc,
    "ari": adjusted_rand_index,
    "nmi": mutual_information,
    "rmse": rmse,
}


def intervals(answers: Answers, *, draws: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """Each of `NUMBERS` with its 95 % interval over resamples of the clips.

    Resamples in which a number is not defined say nothing of it.
    """
    resamples = cluster_draws(range(int(answers.clip.max()) + 1), draws, seed)

    def interval(number: Number) -> Interval:
        return bootstrap_interval(lambda weights: number(answers, weights[answers.clip]), resamples)

    return {name: interval(number) for name, number in NUMBERS.items()}
