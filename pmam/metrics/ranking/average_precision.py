"""How well scores rank frames or clips: average precision, and F1 of clip tags.

A class without positives has no average precision: NaN, and it is left out of the mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError
from pmam.events.event import FloatArray
from pmam.events.targets import encode_at
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.results import ClassMean

Scores = npt.NDArray[np.floating]
Targets = npt.NDArray[np.bool_]


def falling_order(scores: Scores) -> npt.NDArray[np.int64]:
    """Indices ``(n,)`` from the highest score to the lowest; equal ones stay in order.

    Half precision is sorted by its bits, which numpy does in one pass (radix sort).
    """
    if scores.dtype != np.float16:
        return np.argsort(-scores, kind="stable")
    bits = (0 - scores).view(np.int16)  # 0 - 0 is +0: both zeros are one score
    return np.argsort(bits ^ ((bits >> 15) & 0x7FFF), kind="stable")


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Examples from the highest score to the lowest.

    Args:
        order: ``(n,)`` indices of the examples.
        last_of_ties: ``(n,)`` whether the next score is lower: equal scores are one operating
            point, so their order does not matter.
    """

    order: npt.NDArray[np.int64]
    last_of_ties: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, scores: Scores) -> "Ranking":
        """Rank scores ``(n,)``.

        Raises:
            InputError: when a score is NaN.
        """
        if np.isnan(scores).any():
            raise InputError("scores hold NaN: they have no rank; check the model")
        order = falling_order(scores)
        ranked = scores[order]
        return cls(
            order=order,
            last_of_ties=np.append(ranked[1:] != ranked[:-1], True)[: len(ranked)],
        )

    def average_precision(self, targets: Targets, weights: FloatArray | None = None) -> float:
        """As :func:`average_precision`, of these examples."""
        weights = np.ones(len(targets)) if weights is None else weights
        tp = np.cumsum((weights * targets)[self.order])[self.last_of_ties]
        detected = np.cumsum(weights[self.order])[self.last_of_ties]
        if not len(tp) or tp[-1] == 0:
            return float("nan")
        # Where all weights so far are 0 there is no gain in recall either.
        precision = tp / np.where(detected > 0, detected, 1.0)
        return float(np.diff(tp, prepend=0.0) @ precision / tp[-1])


def average_precision(scores: Scores, targets: Targets, weights: FloatArray | None = None) -> float:
    """Sum over distinct scores of (gain in recall) x precision, as scikit-learn defines it.

    Args:
        scores: ``(n,)``.
        targets: ``(n,)`` booleans.
        weights: ``(n,)`` how often each example counts; None: once.

    Returns:
        A number in (0, 1], NaN where there is no positive.

    Raises:
        InputError: when the lengths differ or a score is NaN.
    """
    if scores.shape != targets.shape or scores.ndim != 1:
        raise ValueError(f"scores {scores.shape}, targets {targets.shape}: expected one length")
    return Ranking.of(scores).average_precision(targets, weights)


def macro_average_precision(scores: Scores, targets: Targets, classes: Sequence[str]) -> ClassMean:
    """Average precision per class and its mean over classes that have positives.

    Args:
        scores: ``(n, classes)``.
        targets: ``(n, classes)`` booleans.
        classes: names of the columns.

    Raises:
        InputError: when shapes do not fit, a score is NaN, or no class has a positive.
    """
    if scores.shape != targets.shape or scores.shape[1:] != (len(classes),):
        raise InputError(
            f"scores {scores.shape}, targets {targets.shape}: expected (n, {len(classes)}) both"
        )
    return ClassMean.of(
        {
            name: average_precision(scores[:, column], targets[:, column])
            for column, name in enumerate(classes)
        }
    )


def clip_f1(
    scores: Scores, targets: Targets, classes: Sequence[str], threshold: float = 0.5
) -> ClassMean:
    """F1 of clip tags ``score > threshold`` per class, and its mean over classes with positives.

    Args:
        scores: ``(clips, classes)``.
        targets: ``(clips, classes)`` booleans.
        classes: names of the columns.
        threshold: above it a clip has the tag.

    Raises:
        InputError: when shapes do not fit, a score is NaN, or no class has a positive.
    """
    if scores.shape != targets.shape or scores.shape[1:] != (len(classes),):
        raise InputError(
            f"scores {scores.shape}, targets {targets.shape}: expected (clips, {len(classes)}) both"
        )
    if np.isnan(scores).any():
        raise InputError("scores hold NaN: no threshold can decide there; check the model")
    tagged = scores > threshold
    both, either = (tagged & targets).sum(axis=0), tagged.sum(axis=0) + targets.sum(axis=0)
    f1 = np.where(targets.any(axis=0), 2 * both / np.maximum(either, 1), np.nan)
    return ClassMean.of(dict(zip(classes, f1.tolist(), strict=True)))


@dataclass(frozen=True, kw_only=True)
class RankingTable:
    """Examples to rank, frames or clips, of an evaluation set.

    Args:
        scores: ``(n, classes)``.
        targets: ``(n, classes)`` booleans.
        clip: ``(n,)`` the clip of each example, in the order of ``EvaluationSet.clips``.
        classes: names of the columns.
    """

    scores: Scores
    targets: Targets
    clip: npt.NDArray[np.int64]
    classes: Sequence[str]

    def result(self, clip_weights: FloatArray | None = None) -> ClassMean:
        """Macro average precision, each clip counted ``clip_weights`` times (once by default).

        Raises:
            InputError: when no class has a positive.
        """
        weights = None if clip_weights is None else clip_weights[self.clip]
        return ClassMean.of(
            {
                name: ranking.average_precision(self.targets[:, column], weights)
                for column, (name, ranking) in enumerate(
                    zip(self.classes, self.rankings, strict=True)
                )
            }
        )

    @cached_property
    def rankings(self) -> list[Ranking]:
        """One ranking per class, made once: a bootstrap asks for many results."""
        return [Ranking.of(column) for column in self.scores.T]


def frame_table(clips: EvaluationSet) -> RankingTable:
    """All frames of all clips; a frame is positive as :func:`pmam.events.targets.encode` says."""
    return RankingTable(
        scores=np.concatenate([clips.scores[clip] for clip in clips.clips]),
        targets=np.concatenate(
            [
                encode_at(clips.ground_truth[clip], clips.classes, clips.edges_s(clip)) > 0
                for clip in clips.clips
            ]
        ),
        clip=np.repeat(np.arange(len(clips.clips)), [len(clips.scores[c]) for c in clips.clips]),
        classes=clips.classes,
    )


def clip_table(clips: EvaluationSet) -> RankingTable:
    """All clips, each with its highest frame score per class; positive when it has an event."""
    tags = [{event.label for event in clips.ground_truth[clip]} for clip in clips.clips]
    return RankingTable(
        scores=np.stack([clips.scores[clip].max(axis=0) for clip in clips.clips]),
        targets=np.array([[name in present for name in clips.classes] for present in tags]),
        clip=np.arange(len(tags)),
        classes=clips.classes,
    )


def macro_frame_ap(clips: EvaluationSet) -> ClassMean:
    """Macro average precision over all frames."""
    return frame_table(clips).result()


def macro_clip_ap(clips: EvaluationSet) -> ClassMean:
    """Macro average precision over clips, by their highest frame score."""
    return clip_table(clips).result()
