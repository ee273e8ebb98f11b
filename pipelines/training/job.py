"""A training as a Ray Train job: one loop for all objectives, killed and resumed at any step."""

import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from cluster.session import session
from pipelines.runtime.nodes import expected, selector
from pipelines.runtime.progress import bar
from pipelines.runtime.remote_log import tell
from pipelines.runtime.stage import Stage
from pipelines.runtime.worker_group import restarted
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
    import ray.train
    from ray.train.torch import TorchTrainer

    config = {
        "stage": stage,
        "build": build,
        "arguments": dict(arguments),
        "settings": settings,
        "expected": expected() if settings.workers else None,
    }
    if settings.workers:
        # What it refuses shows here: Train would start the workers anew, and fail again.
        build(**arguments)
    with session():
        scaling = ray.train.ScalingConfig(
            num_workers=settings.workers,
            use_gpu=settings.workers > 0 and ray.cluster_resources().get("GPU", 0) > 0,
            label_selector=selector(),  # type: ignore[call-arg]  # of Train V2
        )

        def fit() -> None:
            with tempfile.TemporaryDirectory(prefix="pmam-train-") as scratch:
                run = ray.train.RunConfig(
                    # Train silently continues an old run of the same name.
                    name=f"{stage.name}-{stage.fingerprint[:12]}",
                    storage_path=scratch if settings.workers else None,
                )
                TorchTrainer(
                    loop, train_loop_config=config, scaling_config=scaling, run_config=run
                ).fit()

        if settings.workers == 0:
            fit()
        else:
            with _watching(stage, settings.optimizer.steps):
                restarted(fit)
    said = speed_of(stage.store)
    if said:
        log.info("%-14s %s", stage.name, said)
    result: dict[str, Any] = json.loads(stage.store.read("result.json"))
    return result


class _watching:
    """Shows the checkpoints of remote workers as progress, and tells what they say."""

    def __init__(self, stage: Stage, steps: int) -> None:
        self.stage, self.steps = stage, steps
        self.told = steps_kept(stage.store)  # what was said before is known
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: Any) -> None:
        self.ended.set()
        self.thread.join()
        self._tell(steps_kept(self.stage.store))

    def _tell(self, step: int) -> None:
        if step > self.told:
            tell(self.stage.store, self.told, step)
            self.told = step

    def _watch(self) -> None:
        folder, seen = self.stage.store, 0
        with bar(f"{self.stage.name} (steps)", self.steps) as advance:
            while not self.ended.wait(1.0):
                step = steps_kept(folder)
                advance(step - seen, "")
                self._tell(step)
                seen = step
