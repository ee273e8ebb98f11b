"""Post-processing that is chosen anew on validation clips, in place of what a detector stores."""

from collections.abc import Callable
from dataclasses import replace

from pipelines.stages.evaluate.settings import EvaluateSettings
from pmam.events.settings import PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.postprocess_choice import BOX_GRID, chosen_postprocess


def chosen(
    processed: Callable[[PostprocessSettings], EvaluationSet],
    stored: PostprocessSettings,
    settings: EvaluateSettings,
) -> PostprocessSettings:
    """What suits a system, as `settings.choose` says.

    What the system stores for single classes was chosen before, for other windows: it is chosen
    anew, and stays only of classes that there is nothing to choose by. What the settings themselves
    give stays.

    Args:
        processed: the clips after post-processing.
        stored: of the system.
        settings: what is given, and by what the rest is chosen.
    """
    choose = settings.choose
    given = settings.applied(stored)
    of_windows = bool(choose.medians_s) and given.method != "boxes"
    of_boxes = given.method == "boxes"
    free = replace(
        stored,
        median_by_class_s={} if of_windows else stored.median_by_class_s,
        boxes_by_class={} if of_boxes else stored.boxes_by_class,
        threshold_by_class={} if choose.thresholds else stored.threshold_by_class,
    )
    found = chosen_postprocess(
        processed,
        settings.applied(free),
        medians_s=choose.medians_s,
        thresholds=choose.thresholds,
        metric=choose.metric or "psds1",
        by_class=choose.by_class,
        boxes=BOX_GRID,
    )
    if choose.by_class:
        found = replace(
            found,
            median_by_class_s={**given.median_by_class_s, **found.median_by_class_s},
            boxes_by_class={**given.boxes_by_class, **found.boxes_by_class},
        )
    return replace(
        found, threshold_by_class={**given.threshold_by_class, **found.threshold_by_class}
    )
