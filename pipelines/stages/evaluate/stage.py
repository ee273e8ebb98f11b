"""evaluate: scores and ground truth to numbers, a table per class and pictures."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.inference.events import events_of
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.declared import DatasetUrl, StageUrl, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.stage import Stage, record_of
from pipelines.runtime.urls import open_dataset, store
from pipelines.runtime.words import TITLES
from pipelines.stages.evaluate.plots import class_bars, example_timelines
from pipelines.stages.settings import EvaluateSettings
from pmam.events.settings import PostprocessSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.postprocess_choice import postprocessed
from pmam.metrics.registry import METRICS
from pmam.settings import from_json
from shards.index import IndexRow

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 2

RESULTS = "results.json"
log = logging.getLogger("pmam")


@stage_function(ALGORITHM_VERSION)
def evaluate(
    dataset: DatasetUrl,
    scores: StageUrl,
    out: str,
    settings: EvaluateSettings,
    *,
    name: str = "evaluate",
    fresh: bool = False,
) -> Work:
    """Evaluate scores; returns the URL of the results, which `results_of` reads.

    Args:
        dataset: the dataset, whose strong labels are the truth.
        scores: URL of the scores.
        out: the folder of the results.
        settings: subsets, and post-processing other than the detector's.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        scored = record_of(scores)["result"]
        classes = scored["classes"]
        postprocess = settings.applied(_stored(scored, scores))
        log.info("%-14s %s", stage.name, postprocess.in_words)
        opened = open_dataset(dataset)
        numbers: dict[str, Any] = {}
        for subset in settings.subsets:
            rows = [row for row in opened.select([subset]) if row.events is not None]
            if not rows:
                raise PipelineError(f"{dataset}: no strongly labelled clips in subset {subset!r}")
            clips = evaluation_set(rows, scores, classes, postprocess)
            results = {metric: function(clips) for metric, function in METRICS.items()}
            numbers[subset] = {
                metric: {"value": float(result.value), "per_class": _floats(result.per_class)}
                for metric, result in results.items()
            }
            if settings.pictures:
                _save(stage, f"{subset}-classes.png", class_bars(results))
                _save(stage, f"{subset}-examples.png", example_timelines(clips))
        stage.store.write(RESULTS, json.dumps(numbers, indent=1).encode())
        first = numbers[settings.subsets[0]]
        return {metric: entry["value"] for metric, entry in first.items()}

    return Work(do=work, settings=settings, summary=_summary)


def results_of(url: str) -> dict[str, Any]:
    """What `evaluate` found: per subset, each metric's value and its value per class."""
    results: dict[str, Any] = json.loads(store(url).read(RESULTS))
    return results


def has_truth(dataset_url: str, settings: EvaluateSettings) -> bool:
    """Whether all subsets to evaluate have strongly labelled clips; says so where not."""
    dataset = open_dataset(dataset_url)
    for subset in settings.subsets:
        if not any(row.events is not None for row in dataset.select([subset])):
            log.warning("no strongly labelled clips in subset %r: nothing to evaluate on", subset)
            return False
    return True


def evaluation_set(
    rows: Sequence[IndexRow], scores: str, classes: Sequence[str], settings: PostprocessSettings
) -> EvaluationSet:
    """Post-processed scores beside the truth of strongly labelled clips, by the clips' own ids."""
    frames = open_frames(scores)
    return postprocessed(
        ((row.source_id, frames.read(row.key)) for row in rows),
        frames.spec.hop_s,
        {row.source_id: events_of(row.events) for row in rows},
        {row.source_id: row.duration_s for row in rows},
        classes,
        settings,
    )


def _stored(scored: Mapping[str, Any], scores: str) -> PostprocessSettings:
    """What the detector stores, as `score` recorded it."""
    if "postprocess" not in scored:
        log.warning(
            "%s: scores of an older version, which do not tell the detector's post-processing; "
            "evaluated with the defaults: score the clips again, or choose by flags",
            scores,
        )
    return from_json(PostprocessSettings, scored.get("postprocess", {}))


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _save(stage: Stage, name: str, figure: Any) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    stage.store.write(name, image.getvalue())


def _summary(result: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{TITLES[metric]} {value:.3f}" for metric, value in result.items())
    return f"evaluated ({numbers})"
