"""Post-processing as part of an evaluation: applied to scores, and chosen on validation clips."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event, edges_within_s
from pmam.events.postprocessing import smooth
from pmam.events.settings import BoxSettings, PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_f1 import event_f1
from pmam.metrics.events.event_thresholds import best_thresholds
from pmam.metrics.registry import METRICS
from pmam.metrics.results import MetricResult


def postprocessed(
    scores: Iterable[tuple[str, npt.NDArray[np.floating]]],
    hop_s: float,
    ground_truth: Mapping[str, Sequence[Event]],
    durations_s: Mapping[str, float],
    classes: Sequence[str],
    settings: PostprocessSettings,
) -> EvaluationSet:
    """Scores as post-processing leaves them, beside the truth; events end with their clip.

    Args:
        scores: clips and what a detector gives for them, ``(frames, classes)``.
        hop_s, ground_truth, durations_s, classes: as of `EvaluationSet`.
        settings: post-processing; its thresholds are those of the set.

    Raises:
        InputError: as `EvaluationSet`, or the settings name a class that is not there.
    """
    done = {clip: smooth(raw, None, classes, hop_s, settings) for clip, raw in scores}
    return EvaluationSet(
        scores=done,
        hop_s={k: edges_within_s(len(v), hop_s, durations_s[k]) for k, v in done.items()},
        ground_truth=ground_truth,
        durations_s=durations_s,
        classes=classes,
        threshold=settings.thresholds(classes),
    )


# The published grid of change-detection boxes (arXiv 2406.04212): steps, and for gaps a drop or a
# ratio alone. Probabilities never drop by 1, so that a drop of 1 leaves the ratio to decide.
BOX_GRID = tuple(
    BoxSettings(step_s=step_s, merge_drop=drop, merge_ratio=ratio)
    for step_s in (0.32, 0.48, 0.64)
    for drop, ratio in ((0.15, None), (0.2, None), (0.3, None), (1.0, 1.5), (1.0, 2.0), (1.0, 3.0))
)


def chosen_postprocess(
    processed: Callable[[PostprocessSettings], EvaluationSet],
    settings: PostprocessSettings,
    *,
    medians_s: Sequence[float] = (),
    thresholds: bool = True,
    metric: str = "psds1",
    by_class: bool = False,
    boxes: Sequence[BoxSettings] = (),
) -> PostprocessSettings:
    """Post-processing that suits a detector, by what it gives for validation clips.

    Windows, or boxes where that is the method, are those of the highest number of `metric`; of
    equals the one nearest to the given settings. Then each class gets the threshold of the highest
    event-based F1; a class of which no event is found at any threshold keeps the given one.

    Args:
        processed: the validation clips after post-processing.
        settings: what is not chosen stays as it is here; so do windows, boxes and thresholds that
            it gives to single classes.
        medians_s: windows to choose from besides that of the settings.
        thresholds: whether thresholds are chosen.
        metric: of `METRICS`; `event_f1` is that at each class's best threshold.
        by_class: whether each class gets a window, or boxes, of its own: those of its highest
            number, as the published choice of boxes does (arXiv 2406.04212); else one for all.
        boxes: boxes to choose from besides those of the settings.
    """
    if settings.method == "boxes":
        candidates = [settings, *(replace(settings, boxes=one) for one in boxes)]
    else:
        widths_s = sorted({settings.median_s, *medians_s})
        widths_s.sort(key=lambda width_s: abs(width_s - settings.median_s))
        candidates = [replace(settings, median_s=width_s) for width_s in widths_s]
    if len(candidates) > 1:
        results = [_quality(processed(one), metric) for one in candidates]
        # The first of the highest.
        best_of_all = max(range(len(results)), key=lambda number: float(results[number].value))
        given = settings
        settings = candidates[best_of_all]
        if by_class:
            own = {
                name: candidates[int(np.argmax([one.per_class[name] for one in results]))]
                for name, value in results[0].per_class.items()
                if not np.isnan(value)
            }
            settings = _of_classes(settings, own, given)
    if not thresholds:
        return settings
    # An infinite threshold detects nothing, one below 0 everything: neither is a choice.
    best = best_thresholds(processed(settings))
    by_label = {name: max(at, 0.0) for name, at in best.items() if at < 1}
    return replace(settings, threshold_by_class={**by_label, **settings.threshold_by_class})


def _of_classes(
    settings: PostprocessSettings,
    own: Mapping[str, PostprocessSettings],
    given: PostprocessSettings,
) -> PostprocessSettings:
    """Settings with the window, or the boxes, of each class's own, but for those that are given."""
    if settings.method == "boxes":
        boxes = {name: one.boxes for name, one in own.items()}
        return replace(settings, boxes_by_class={**boxes, **given.boxes_by_class})
    widths = {name: one.median_s for name, one in own.items()}
    return replace(settings, median_by_class_s={**widths, **given.median_by_class_s})


def _quality(clips: EvaluationSet, metric: str) -> MetricResult:
    if metric == "event_f1":
        best = best_thresholds(clips)
        return event_f1(clips, [best[name] for name in clips.classes])
    return METRICS[metric](clips)
