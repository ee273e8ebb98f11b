"""Post-processing as part of an evaluation: applied to scores, and chosen on validation clips."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pmam.events.event import Event, edges_within_s
from pmam.events.postprocessing import smooth
from pmam.events.settings import PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.event_thresholds import best_thresholds
from pmam.metrics.polyphonic.psds import PSDS1, psds


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


def chosen_postprocess(
    processed: Callable[[PostprocessSettings], EvaluationSet],
    settings: PostprocessSettings,
    *,
    medians_s: Sequence[float] = (),
    thresholds: bool = True,
) -> PostprocessSettings:
    """Post-processing that suits a detector, by what it gives for validation clips.

    The window is one for all classes, that of the highest PSDS1, which no threshold enters; of
    equals the one nearest to the given settings. Then each class gets the threshold of the highest
    event-based F1; a class of which no event is found at any threshold keeps the given one.

    Args:
        processed: the validation clips after post-processing.
        settings: what is not chosen stays as it is here; so do windows and thresholds that it
            gives to single classes.
        medians_s: windows to choose from besides that of the settings; boxes have none.
        thresholds: whether thresholds are chosen.
    """
    if settings.method != "boxes":
        widths_s = sorted({settings.median_s, *medians_s})
        widths_s.sort(key=lambda width_s: abs(width_s - settings.median_s))
        found = [replace(settings, median_s=width_s) for width_s in widths_s]
        if len(found) > 1:
            # The first of the highest.
            settings = max(found, key=lambda one: float(psds(processed(one), PSDS1).value))
    if not thresholds:
        return settings
    # An infinite threshold detects nothing, one below 0 everything: neither is a choice.
    best = best_thresholds(processed(settings))
    by_class = {name: max(at, 0.0) for name, at in best.items() if at < 1}
    return replace(settings, threshold_by_class={**by_class, **settings.threshold_by_class})
