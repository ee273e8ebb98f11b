"""A training as a Ray Train job: one loop for all objectives, killed and resumed at any step.

Checkpoints are our own, in the stage's folder: Train's local mode (`workers = 0`) keeps none.
"""

import hashlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from cluster.session import session
from pipelines.batches import Batches
from pipelines.examples import prefetched
from pipelines.ledger import Stage
from pipelines.progress import bar
from pipelines.urls import store
from pmam.training import OptimizerSettings, Trainer, TrainingError
from shards.store import Store

log = logging.getLogger("pmam")
LATEST = "state/latest.json"
LOG_EVERY = 10
RESTARTS = 2  # of a worker group, where one of its workers died


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """What every training needs to know."""

    # Steps, learning rates and their schedule.
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    # Length of a training example; longer clips are cropped, shorter ones padded.
    crop_s: float = 10.0
    # Clips of each subset in a global batch.
    batch: dict[str, int] = field(default_factory=lambda: {"strong": 8, "weak": 8, "unlabeled": 8})
    # 0 trains in this process; 1 and more start Ray Train workers (20-40 s).
    workers: int = 0
    # Steps from one checkpoint to the next.
    checkpoint_every: int = 50
    # Of the weights, the order of clips, crops, masks and dropout.
    seed: int = 0


class Task(Protocol):
    """What a stage trains."""

    module: nn.Module
    batches: Batches

    def loss(
        self, module: nn.Module, batch: Any, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, through the module or its data-parallel wrapping."""

    def after_step(self, step: int) -> None:
        """Called when the parameters were updated."""

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write what the stage is for; returns what to record."""


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
    }
    if settings.workers:
        # What it refuses shows here: Train would start the workers anew, and fail again.
        build(**arguments)
    with session():
        scaling = ray.train.ScalingConfig(
            num_workers=settings.workers,
            use_gpu=settings.workers > 0 and ray.cluster_resources().get("GPU", 0) > 0,
        )

        def fit() -> None:
            with tempfile.TemporaryDirectory(prefix="pmam-train-") as scratch:
                run = ray.train.RunConfig(
                    # Train silently continues an old run of the same name.
                    name=f"{stage.name}-{stage.fingerprint[:12]}",
                    storage_path=scratch if settings.workers else None,
                )
                TorchTrainer(
                    _loop, train_loop_config=config, scaling_config=scaling, run_config=run
                ).fit()

        if settings.workers == 0:
            fit()
        else:
            with _watching(stage, settings.optimizer.steps):
                _restarted(fit)
    result: dict[str, Any] = json.loads(stage.store.read("result.json"))
    return result


def _restarted(fit: Callable[[], None]) -> None:
    """Train by a worker group; start it anew where a worker died.

    Not Train's own restarts: they repeat what failed for its input, which fails again.
    """
    from ray.train import WorkerGroupError

    for attempt in range(RESTARTS + 1):
        try:
            return fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                if isinstance(failure, ValueError | OSError | TrainingError):
                    raise failure from error
            if attempt == RESTARTS:
                raise
            log.warning("%s; the workers are started again", " ".join(str(error).split())[:200])


def _loop(config: dict[str, Any]) -> None:
    """What each worker runs."""
    import ray.train

    stage: Stage = config["stage"]
    settings: TrainSettings = config["settings"]
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    folder = store(stage.url)
    task: Task = config["build"](**config["arguments"])
    # Checkpoints come in evaluation mode, with frozen batch statistics.
    module = task.module.train()
    trainer = Trainer(module, settings.optimizer, settings.seed, rank)
    if settings.workers > 0:
        from ray.train.torch import get_device, prepare_model

        task.module.to(get_device())
        module = prepare_model(task.module) if world > 1 else module
    restore(folder, trainer)
    steps = settings.optimizer.steps
    recorder = _Recorder(folder, stage, trainer, steps if rank == 0 and not settings.workers else 0)
    with recorder:
        make = _batches(task, rank, world)
        for batch in prefetched(make, trainer.step, steps):
            try:
                values = trainer.take_step(
                    lambda step, generator, batch=batch: task.loss(module, batch, step, generator)
                )
            except TrainingError as error:
                keys = ", ".join(row.key for row in task.batches.rows(trainer.step))
                raise TrainingError(f"{error} among those of the batch: {keys}") from error
            task.after_step(trainer.step - 1)
            if world > 1 and trainer.step % LOG_EVERY == 0:
                values = _mean_over_workers(values, world)
            if rank == 0:
                recorder.record(trainer.step, values)
                if trainer.step % settings.checkpoint_every == 0 and trainer.step < steps:
                    recorder.checkpoint()
            if trainer.step % settings.checkpoint_every == 0 or trainer.step == steps:
                ray.train.report({"step": trainer.step, **values})
        if rank == 0:
            recorder.checkpoint()
            folder.write("result.json", json.dumps(task.finish(folder)).encode())


def _batches(task: Task, rank: int, world: int) -> Callable[[int], Any]:
    return lambda step: task.batches.read(step, rank, world)


def _mean_over_workers(values: Mapping[str, float], world: int) -> dict[str, float]:
    """What is logged is of the whole batch, not of the first worker's part."""
    from ray.train.torch import get_device

    total = torch.tensor(list(values.values()), device=get_device())
    torch.distributed.all_reduce(total)
    return dict(zip(values, (total / world).tolist(), strict=True))


def restore(folder: Store, trainer: Trainer) -> bool:
    """Continue from the newest whole checkpoint; false where there is none."""
    if folder.size(LATEST) is None:
        return False
    latest = json.loads(folder.read(LATEST))
    data = folder.read(latest["name"])
    if hashlib.sha256(data).hexdigest() != latest["sha256"]:
        raise ValueError(
            f"{folder.path(latest['name'])}: does not match its sha256; "
            "run the stage with --fresh to train it again"
        )
    trainer.restore(load(data))
    return True


class _Recorder:
    """Writes checkpoints, and what is logged, together: after a kill neither is ahead."""

    def __init__(self, folder: Store, stage: Stage, trainer: Trainer, bar_steps: int) -> None:
        self.folder, self.trainer = folder, trainer
        self.rows: list[dict[str, float]] = []
        self.bar = bar(f"{stage.name} (steps)", bar_steps, trainer.step) if bar_steps else None
        self.tensorboard: Any = None
        if folder.is_local:
            from torch.utils.tensorboard import SummaryWriter

            # What was logged after the checkpoint that we continue from does not count.
            path = folder.path("tensorboard")
            self.tensorboard = SummaryWriter(path, purge_step=trainer.step)

    def __enter__(self) -> "_Recorder":
        self.advance = self.bar.__enter__() if self.bar else lambda more, note: None
        return self

    def __exit__(self, *error: Any) -> None:
        if self.bar:
            self.bar.__exit__(*error)
        if self.tensorboard is not None:
            self.tensorboard.close()

    def record(self, step: int, values: Mapping[str, float]) -> None:
        self.advance(1, f"loss {values['loss']:.4f}")
        if step % LOG_EVERY:
            return
        self.rows.append({"step": step, **values})
        if self.tensorboard is not None:
            for name, value in values.items():
                self.tensorboard.add_scalar(name, value, step)

    def checkpoint(self) -> None:
        step = self.trainer.step
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        self.rows = []
        self.folder.write(f"metrics/{step:08d}.jsonl", lines.encode())
        data = save(self.trainer.state())
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "state.safetensors"
            path.write_bytes(data)
            name = self.folder.publish(f"state/{step:08d}.safetensors", path)
        latest = {"name": name, "step": step, "sha256": hashlib.sha256(data).hexdigest()}
        self.folder.write(LATEST, json.dumps(latest).encode())
        for other in self.folder.names("state"):
            if other not in (name, LATEST):
                self.folder.delete(other)


class _watching:
    """Shows the checkpoints of remote workers as progress."""

    def __init__(self, stage: Stage, steps: int) -> None:
        self.stage, self.steps = stage, steps
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: Any) -> None:
        self.ended.set()
        self.thread.join()

    def _watch(self) -> None:
        folder, seen = self.stage.store, 0
        with bar(f"{self.stage.name} (steps)", self.steps) as advance:
            while not self.ended.wait(1.0):
                if folder.size(LATEST) is not None:
                    step = json.loads(folder.read(LATEST))["step"]
                    advance(step - seen, "")
                    seen = step
