"""Areas under curves of ranked examples, frames, segments or clips: AP, AUC, d', partial AUC.

Each for many resamples at once. Only where the threshold passes a positive does an area grow, so
the examples of a class are reduced to counts of each clip between its positives.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import ndtri

from pmam.events.event import FloatArray
from pmam.events.targets import encode_at
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.count_table import mean_of_defined, rate
from pmam.metrics.polyphonic.intersections import Slots, score_rows
from pmam.metrics.ranking.average_precision import Ranking, RankingTable, Scores, Targets
from pmam.metrics.results import Numbers

# Scores of all classes in one list that are ranked, for micro numbers; of more there are none.
MOST_POOLED = 2**24
BLOCK_BYTES = 2**25
Clips = npt.NDArray[np.int64]
Column = tuple[str, Scores, Targets]
log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What a falling threshold passes, by clip; a row for each score that a positive has.

    Args:
        positives: ``(steps, clips)`` those of that score.
        tied: ``(steps, clips)`` negatives of the same score.
        negatives: ``(steps + 1, clips)`` those since the step before, with the tied; in the last
            row those behind the last step.
    """

    positives: csr_array
    tied: csr_array
    negatives: csr_array

    @classmethod
    def of(cls, scores: Scores, targets: Targets, clip: Clips, clips: int) -> "Steps":
        """Of examples ``(n,)``, their truth, and the clip of each, of so many clips.

        Raises:
            InputError: a score is NaN.
        """
        ranking = Ranking.of(scores)
        true, of = targets[ranking.order], clip[ranking.order]
        last = np.flatnonzero(ranking.last_of_ties)
        first = np.append(0, last[:-1] + 1)[: len(last)]
        counted = np.append(0, np.cumsum(true))
        with_positive = counted[last + 1] > counted[first]
        steps = int(with_positive.sum())
        # Of each example the step that it is of, or that comes next.
        before = np.cumsum(with_positive) - with_positive
        sizes = last + 1 - first
        step = np.repeat(before, sizes)
        is_tied = ~true & np.repeat(with_positive, sizes)

        def table(chosen: Targets, rows: int) -> csr_array:
            where = step[chosen], of[chosen]
            return csr_array((np.ones(len(where[0])), where), shape=(rows, clips))

        return cls(
            positives=table(true, steps),
            tied=table(is_tied, steps),
            negatives=table(~true, steps + 1),
        )

    def areas(self, weights: FloatArray, max_fpr: float | None) -> dict[str, FloatArray]:
        """AP, AUC, and partial AUC where ``max_fpr`` is given, ``(draws,)`` each.

        AP is the sum over positives of the precision there, as scikit-learn defines it. AUC is the
        area under the ROC, straight between its points: ties count a half. Partial AUC is that of
        the staircase up to a false positive rate, over that rate, as DCASE 2024's mpAUC. NaN where
        there are no positives, or for AUC no negatives.

        Args:
            weights: ``(draws, clips)``.
            max_fpr: of the partial AUC.
        """
        found: dict[str, FloatArray] = {}
        width = max(1, BLOCK_BYTES // (8 * (self.positives.shape[0] + 1)))
        parts = [
            self._areas(np.ascontiguousarray(weights[begin : begin + width].T), max_fpr)
            for begin in range(0, len(weights), width)
        ]
        for name in parts[0]:
            found[name] = np.concatenate([part[name] for part in parts])
        return found

    def _areas(self, weights: FloatArray, max_fpr: float | None) -> dict[str, FloatArray]:
        true = self.positives @ weights
        false = np.cumsum(self.negatives @ weights, axis=0)
        false, all_false = false[:-1], false[-1]
        tp = np.cumsum(true, axis=0)
        all_true = tp[-1] if len(tp) else np.zeros(weights.shape[1])
        # Where all weights so far are 0 there is no positive either.
        precision = tp / np.maximum(tp + false, 1)
        above = false - (self.tied @ weights) / 2
        pairs = all_true * all_false
        found = {
            "ap": rate((true * precision).sum(axis=0), all_true),
            "auc": np.where(pairs > 0, 1 - rate((true * above).sum(axis=0), pairs), np.nan),
        }
        if max_fpr is not None:
            left = np.maximum(max_fpr - false / np.maximum(all_false, 1), 0.0)
            share = rate((true * left).sum(axis=0), all_true) / max_fpr
            found["partial_auc"] = np.where(pairs > 0, share, np.nan)
        return found


def d_prime(auc: FloatArray) -> FloatArray:
    """Sensitivity index of equal normal distributions: the square root of 2 times z(AUC)."""
    return np.asarray(np.sqrt(2) * ndtri(auc))


def ranking_numbers(
    columns: Iterable[Column],
    clip: Clips,
    weights: FloatArray,
    max_fpr: float | None = None,
    pooled: tuple[Scores, Targets] | None = None,
) -> Numbers:
    """AP, AUC and d', and partial AUC where ``max_fpr`` is given; macro over defined classes.

    The macro d' is that of the macro AUC, as AudioSet's is; micro is of all scores in one list.

    Args:
        columns: of each class its name, scores ``(n,)`` and truth; taken one by one.
        clip: ``(n,)`` the clip of each example.
        weights: ``(draws, clips)``.
        max_fpr: of the partial AUC.
        pooled: scores and truth ``(n, classes)`` for micro; None: none is told.
    """
    clips = weights.shape[1]
    found: Numbers = {}
    for name, scores, targets in columns:
        for metric, values in (
            Steps.of(scores, targets, clip, clips).areas(weights, max_fpr).items()
        ):
            found.setdefault(metric, {})[name] = values
    for metric, each in found.items():
        macro = mean_of_defined(np.stack(list(each.values()), axis=1))
        found[metric] = {"macro": macro, **each}
    if pooled is not None:
        owner = np.repeat(clip, pooled[0].shape[1])
        steps = Steps.of(pooled[0].ravel(), pooled[1].ravel(), owner, clips)
        for metric, values in steps.areas(weights, max_fpr).items():
            found[metric]["micro"] = values
    found["d_prime"] = {of: d_prime(values) for of, values in found["auc"].items()}
    return found


def table_numbers(
    table: RankingTable, weights: FloatArray, max_fpr: float | None = None
) -> Numbers:
    """`ranking_numbers` of examples that are held."""
    columns = zip(table.classes, table.scores.T, table.targets.T, strict=True)
    pooled = _pooled(table.scores, table.targets, table.scores.size)
    return ranking_numbers(columns, table.clip, weights, max_fpr, pooled)


def frame_numbers(clips: EvaluationSet, weights: FloatArray) -> Numbers:
    """`ranking_numbers` of frames, of which the scores of a few classes at a time are held."""
    lengths = [len(clips.edges_s(clip)) - 1 for clip in clips.clips]
    owner = np.repeat(np.arange(len(lengths)), lengths)
    size = len(owner) * len(clips.classes)
    pooled = None
    if size <= MOST_POOLED:
        pooled = (
            np.concatenate([clips.scores[clip] for clip in clips.clips]),
            np.concatenate([_targets(clips, clip) for clip in clips.clips]),
        )
    else:
        _tell_no_micro(size)
    return ranking_numbers(_frame_columns(clips, len(owner)), owner, weights, pooled=pooled)


def _frame_columns(clips: EvaluationSet, frames: int) -> Iterator[Column]:
    """Scores and truth of all frames of one class after the other."""
    positives: list[list[npt.NDArray[np.int64]]] = [[] for _ in clips.classes]
    begin = 0
    for clip in clips.clips:
        if clips.ground_truth[clip]:
            targets = _targets(clips, clip)
            for label in np.flatnonzero(targets.any(axis=0)):
                positives[label].append(begin + np.flatnonzero(targets[:, label]))
        begin += len(clips.edges_s(clip)) - 1
    slots = Slots.of([clips.edges_s(clip) for clip in clips.clips])
    is_frame = np.append(np.diff(slots.clip) == 0, False)
    for label, row in score_rows(clips, slots):
        true = np.zeros(frames, dtype=bool)
        for places in positives[label]:
            true[places] = True
        yield clips.classes[label], row[is_frame], true


def _targets(clips: EvaluationSet, clip: str) -> Targets:
    """A frame is positive as :func:`pmam.events.targets.encode` says."""
    return encode_at(clips.ground_truth[clip], clips.classes, clips.edges_s(clip)) > 0


def _pooled(scores: Scores, targets: Targets, size: int) -> tuple[Scores, Targets] | None:
    if size <= MOST_POOLED:
        return scores, targets
    _tell_no_micro(size)
    return None


def _tell_no_micro(size: int) -> None:
    log.info(
        "ranking: no micro numbers of %d scores, which would all be sorted at once (%d at most)",
        size,
        MOST_POOLED,
    )
