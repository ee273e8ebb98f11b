"""A training as a job: one loop for all objectives, killed and resumed at any step."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from cluster.session import is_cluster
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.worker_group import run_workers
from pipelines.training.loop import Task, loop
from pipelines.training.recorder import speed_of, steps_kept
from pipelines.training.settings import TrainSettings

log = logging.getLogger("pmam")


def run_training(
    stage: Stage,
    build: Callable[..., Task],
    arguments: Mapping[str, Any],
    settings: TrainSettings,
) -> dict[str, Any]:
    """Train, from the last checkpoint in the stage's folder on; returns what `finish` did.

    Args:
        stage: owns the folder.
        build: makes the task, in each worker, from plain arguments.
        arguments: of `build`.
        settings: optimizer, batch, workers.

    Raises:
        TrainingError: a loss or gradient that is no number; the last checkpoint stays.
        ValueError, OSError: what the task, or a worker of it, refused.
    """
    config = {
        "stage": stage,
        "build": build,
        "arguments": dict(arguments),
        "settings": settings,
    }
    if settings.crew.count(on_cluster=is_cluster()):
        # What it refuses shows here, before workers start.
        build(**arguments)
    run_workers(loop, config, stage=stage, crew=settings.crew, kept=lambda: steps_kept(stage.store))
    said = speed_of(stage.store)
    if said:
        log.info("%-14s %s", stage.name, said)
    result: dict[str, Any] = json.loads(stage.store.read("result.json"))
    return result
