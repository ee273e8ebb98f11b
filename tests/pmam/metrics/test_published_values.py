"""Values that another evaluator publishes in its tests, for scores and events typed in here.

The examples are those of sed_scores_eval's tests of its intermediate statistics (Ebbers et al.,
arXiv 2201.13148, figures 1 and 2, among them).
"""

from collections.abc import Sequence

import numpy as np
import pytest

from pmam.events.decoding import decode_at
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import DetectionSet
from pmam.metrics.events.event_f1 import Collars, event_counts
from pmam.metrics.events.intersection_f1 import intersection_counts
from pmam.metrics.events.segment_based import segment_counts, segment_table
from pmam.metrics.polyphonic.psds import PSDSSettings, psds_counts

INF = float("inf")
UP_AND_DOWN = [0.3, 0.4, 0.5, 0.6, 0.7, 0.6, 0.5, 0.4, 0.3]
LATE = [0.3, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.7, 0.6]
Times = tuple[float, float, str]


def example(
    scores: Sequence[float], truth: Sequence[Times], step_s: float = 1.0, copies: int = 1
) -> EvaluationSet:
    """Scores of class `a`, and none of the others, in one clip or in equal ones."""
    classes = sorted({"a", *(label for _, _, label in truth)})
    table = np.zeros((len(scores), len(classes)))
    table[:, 0] = scores
    events = [
        Event(onset_s=onset * step_s, offset_s=offset * step_s, label=label)
        for onset, offset, label in truth
    ]
    clips = [str(copy) for copy in range(copies)]
    return EvaluationSet(
        scores=dict.fromkeys(clips, table),
        hop_s=step_s,
        ground_truth=dict.fromkeys(clips, events),
        durations_s=dict.fromkeys(clips, len(scores) * step_s),
        classes=classes,
    )


def at_levels(
    clips: EvaluationSet, change: Sequence[float], *counts: Sequence[float]
) -> list[tuple[float, list[float]]]:
    """Each score of class `a` with the counts when all from it on up are detected.

    Published are those scores at which a count changes, with the counts at and below each.
    """
    levels = np.unique(np.concatenate([clips.scores[clip][:, 0] for clip in clips.clips]))
    places = np.searchsorted(change, levels)
    return [(float(x), [row[k] for row in counts]) for x, k in zip(levels, places, strict=True)]


def detections(clips: EvaluationSet, level: float) -> dict[str, list[Event]]:
    """Events of class `a` alone."""
    below = np.nextafter(level, -INF)
    limits = [below] + [INF] * (len(clips.classes) - 1)
    return {
        clip: decode_at(clips.scores[clip], clips.classes, clips.edges_s(clip), limits)
        for clip in clips.clips
    }


TWO_HILLS = [0, 3, 0, 1, 2, 3, 4, 3, 2, 1, 0]
TWO_EVENTS: list[Times] = [(0, 2.5, "a"), (4.5, 8.5, "a")]
FALLING = list(range(10, -1, -1))
COLLARED = [
    (UP_AND_DOWN, [(2, 7, "a")], 1, [0.3, 0.6, 0.7, INF], [0, 1, 0, 0], [1, 0, 1, 0]),
    (TWO_HILLS, TWO_EVENTS, 0.2, [0, 3, 4, INF], [0, 0, 0, 0], [1, 2, 1, 0]),
    (TWO_HILLS, TWO_EVENTS, 1, [0, 1, 3, 4, INF], [0, 1, 2, 0, 0], [1, 1, 0, 1, 0]),
    (TWO_HILLS, TWO_EVENTS, 2, [0, 3, 4, INF], [0, 2, 1, 0], [1, 0, 0, 0]),
    (TWO_HILLS, TWO_EVENTS, 4, [0, 3, 4, INF], [0, 2, 1, 0], [1, 0, 0, 0]),
    (TWO_HILLS, TWO_EVENTS, 5, [0, 3, 4, INF], [1, 2, 1, 0], [0, 0, 0, 0]),
    ([0] * 11, TWO_EVENTS, 4, [0, INF], [0, 0], [1, 0]),
    ([0] * 11, TWO_EVENTS, 5, [0, INF], [1, 0], [0, 0]),
    *(
        (FALLING, [(0, 1, "a")], collar, [9 - collar, 10, INF], [0, 1, 0], [1, 0, 0])
        for collar in range(9)
    ),
]


@pytest.mark.parametrize(("step_s", "copies"), [(1.0, 1), (0.2, 1), (1.0, 2)])
@pytest.mark.parametrize(("scores", "truth", "collar", "change", "tp", "fp"), COLLARED)
def test_collars(scores, truth, collar, change, tp, fp, step_s, copies) -> None:
    clips = example(scores, truth, step_s, copies)
    collars = Collars(onset_s=collar * step_s, offset_s=collar * step_s, offset_part=0)
    for level, expected in at_levels(clips, change, tp, fp):
        counts = event_counts(detections(clips, level), clips.ground_truth, ["a"], collars)
        assert [counts.tp.sum(), counts.fp.sum()] == [n * copies for n in expected], level


CROSSED = {
    "paper": (
        (LATE, [(2, 6, "a"), (6, 8, "b")], 1.0, (0.5, 0.5, 0.5)),
        ([0.3, 0.5, 0.6, 0.8, INF], [0, 1, 0, 0, 0], [1, 0, 1, 1, 0]),
        [[0, 0, 0, 1, 0]],
    ),
    "two others": (
        (LATE, [(2, 6, "a"), (6, 8, "b"), (6, 8, "c")], 1.0, (0.5, 0.5, 0.5)),
        ([0.3, 0.5, 0.6, 0.8, INF], [0, 1, 0, 0, 0], [1, 0, 1, 1, 0]),
        [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0]],
    ),
    "no events": (
        ([0, 1, 2, 3, 4, 3, 2, 1, 0], [], 0.1, (0.5, 0.5, 0.5)),
        ([4, INF], [0, 0], [1, 0]),
        [],
    ),
}
BEYOND = [0, 1, 2, 3, 4, 3, 2, 1, 2, 3, 4, 3, 2, 1, 0]
for part, tp, fp in [(0.5, [1, 1, 0, 0], [0, 1, 1, 0]), (0.6, [0, 1, 0, 0], [1, 1, 1, 0])]:
    CROSSED[f"beyond the end, {part}"] = (
        (BEYOND, [(7.5, 16, "a"), (0, 7.5, "b")], 1.0, (part, 0.5, part)),
        ([1, 2, 4, INF], tp, fp),
        [[0, 1, 1, 0]],
    )
HILLS = [0.0] * 4 + [0.5] * 7 + [1.0] * 3 + [0.5] * 7 + [0.1] * 8
HILLS += [0.5] * 7 + [1.0] * 3 + [0.5] * 7 + [0.0] * 4
APART: list[Times] = [(5, 10, "a"), (10, 15, "b"), (15, 20, "a")]
APART += [(30, 35, "a"), (35, 40, "c"), (40, 45, "a")]
for part, change, tp, fp in [
    (0.4, [0.5, 1, INF], [4, 0, 0], [0, 2, 0]),
    (0.45, [0, 0.5, 1, INF], [0, 4, 0, 0], [1, 0, 2, 0]),
    (0.5, [0.1, 0.5, 1, INF], [0, 4, 0, 0], [1, 0, 2, 0]),
    (0.7, [0.1, 0.5, 1, INF], [0, 0, 0, 0], [1, 2, 2, 0]),
]:
    cross = [0, 1, 0] if len(change) == 3 else [0, 0, 1, 0]
    CROSSED[f"events apart, {part}"] = (
        (HILLS, APART, 0.1, (part, 0.5, 0.5)),
        (change, tp, fp),
        [cross, cross],
    )
WAVES = [1, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
for part, tp, fp, cross in [
    (0.3, [1, 1, 0, 0, 0], [0, 3, 5, 1, 0], [0, 3, 1, 1, 0]),
    (0.5, [0, 1, 0, 0, 0], [1, 4, 5, 1, 0], [1, 1, 1, 1, 0]),
]:
    CROSSED[f"events together, {part}"] = (
        (
            [*WAVES, 1, *WAVES[::-1]],
            [(2, 11, "a"), (2, 11, "b"), (14, 23, "b")],
            0.1,
            (part, 0.5, part),
        ),
        ([0, 1, 2, 3, INF], tp, fp),
        [cross],
    )


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("case", CROSSED.values(), ids=CROSSED)
def test_intersections(case, copies) -> None:
    (scores, truth, step_s, (dtc, gtc, cttc)), (change, tp, fp), cross = case
    clips = example(scores, truth, step_s, copies)
    settings = PSDSSettings(dtc=dtc, gtc=gtc, cttc=cttc, alpha_ct=1.0)
    counts = psds_counts(clips, settings).per_class[0]
    weights = np.ones(copies)
    for level, expected in at_levels(clips, change, tp, fp, *cross):
        place = np.flatnonzero(counts.thresholds >= level)
        found = [0.0] * (2 + len(cross))
        if len(place):
            k = place[-1]
            found = [counts.true_positives(weights)[k], counts.false_positives(weights)[k]]
            for other in range(1, len(clips.classes)):
                once = np.eye(len(clips.classes))[other]
                found.append(counts.cross_trigger_rate(weights, once)[k])
        assert found == pytest.approx([n * copies for n in expected]), level
        point = detections(clips, level)
        at_point = intersection_counts(as_detections(clips, point), point, dtc, gtc)
        assert [at_point.tp[:, 0].sum(), at_point.fp[:, 0].sum()] == found[:2], level


def as_detections(clips: EvaluationSet, point: dict[str, list[Event]]) -> DetectionSet:
    return DetectionSet(
        points={"": point},
        ground_truth=clips.ground_truth,
        durations_s=clips.durations_s,
        classes=clips.classes,
    )


@pytest.mark.parametrize(
    ("segment_s", "change", "tp", "fp"),
    [
        (5.0, [0.7, 0.9, INF], [2, 1, 0], [0, 0, 0]),
        (
            1.0,
            [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, INF],
            [5, 5, 5, 4, 3, 2, 1, 0],
            [5, 4, 3, 3, 2, 1, 0, 0],
        ),
    ],
)
def test_segments(segment_s, change, tp, fp) -> None:
    clips = example([0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.8, 0.7, 0.6], [(2, 7, "a")])
    table = segment_table(clips, segment_s)
    for level, expected in at_levels(clips, change, tp, fp):
        said, true = table.scores[:, 0] >= level, table.targets[:, 0]
        assert [(said & true).sum(), (said & ~true).sum()] == expected
        point = detections(clips, level)
        counts = segment_counts(as_detections(clips, point), point, segment_s)
        assert [counts.tp.sum(), counts.fp.sum()] == expected
        assert counts.tp.sum() + counts.fn.sum() == tp[0]
