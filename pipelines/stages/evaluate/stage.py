"""evaluate: scores and ground truth to numbers, a table per class and pictures."""

import io
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.inference.frame_job import open_frames
from pipelines.runtime.declared import DatasetUrl, StageUrl, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.stage import Stage, record_of
from pipelines.runtime.urls import open_dataset, store
from pipelines.runtime.words import TITLES
from pipelines.stages.evaluate.plots import class_bars, example_timelines
from pipelines.stages.settings import EvaluateSettings
from pmam.events.event import Event
from pmam.events.postprocessing import smooth
from pmam.events.settings import SmoothingSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.registry import METRICS
from shards.index import IndexRow

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

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
        settings: subsets and smoothing.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        classes = record_of(scores)["result"]["classes"]
        opened = open_dataset(dataset)
        numbers: dict[str, Any] = {}
        for subset in settings.subsets:
            rows = [row for row in opened.select([subset]) if row.events is not None]
            if not rows:
                raise PipelineError(f"{dataset}: no strongly labelled clips in subset {subset!r}")
            clips = evaluation_set(rows, scores, classes, settings.smoothing)
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
    rows: Sequence[IndexRow], scores: str, classes: Sequence[str], smoothing: SmoothingSettings
) -> EvaluationSet:
    """Smoothed scores beside the truth of strongly labelled clips, by the clips' own ids."""
    frames = open_frames(scores)
    hop_s = frames.spec.hop_s

    def smoothed(row: IndexRow) -> Any:
        return smooth(frames.read(row.key), None, classes, hop_s, smoothing)

    def truth(row: IndexRow) -> list[Event]:
        events = row.events or ()
        return [Event(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in events]

    return EvaluationSet(
        scores={row.source_id: smoothed(row) for row in rows},
        hop_s=hop_s,
        ground_truth={row.source_id: truth(row) for row in rows},
        durations_s={row.source_id: row.duration_s for row in rows},
        classes=classes,
    )


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _save(stage: Stage, name: str, figure: Any) -> None:
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=110)
    stage.store.write(name, image.getvalue())


def _summary(result: Mapping[str, Any]) -> str:
    numbers = ", ".join(f"{TITLES[metric]} {value:.3f}" for metric, value in result.items())
    return f"evaluated ({numbers})"
