"""What each worker of a training runs: read ahead, compute, update, record."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipelines.runtime.stage import Stage
from pipelines.runtime.urls import store
from pipelines.training.batches import Batches
from pipelines.training.examples import Example, prefetched
from pipelines.training.recorder import Recorder, restore
from pipelines.training.settings import TrainSettings
from pmam.training.batch_norm_sync import BatchStatistics
from pmam.training.errors import TrainingError
from pmam.training.precision import Shares, compile_blocks
from pmam.training.trainer import ALONE, Share, Trainer, Workers
from shards.io.store import Store

log = logging.getLogger("pmam")


class Prepared(Protocol):
    """A worker's batch, with all that is drawn for it."""

    def split(self, parts: int) -> list[Any]:
        """In parts that fit in memory."""


class TrainedModule(Protocol):
    """The module of a task: its loss adds up over parts of a batch."""

    def totals(self, prepared: Any) -> dict[str, Tensor]:
        """What the means of a batch are over."""

    def share(self, part: Any, totals: Mapping[str, Tensor]) -> Share:
        """What a part of a batch adds to the batch's loss, and to the means to log."""


class Task(Protocol):
    """What a stage trains."""

    module: Any  # an nn.Module, and a TrainedModule
    batches: Batches

    def prepare(self, batch: list[Example], step: int, generator: torch.Generator) -> Prepared:
        """Tensors of a worker's clips, augmented, masked; on the device of the module."""

    def after_step(self, step: int) -> None:
        """Called on each worker when the parameters were updated."""

    def watch(self, step: int, values: dict[str, float]) -> dict[str, float]:
        """What else to log of a step, from what is; may warn."""

    def validate(self, step: int) -> dict[str, float]:
        """What to log of validation clips after so many steps; nothing where it is not due."""

    def finish(self, folder: Store) -> dict[str, Any]:
        """Write what the stage is for; returns what to record."""


def loop(config: dict[str, Any]) -> None:
    """What each worker runs.

    Args:
        config: the `stage`, what `build` makes of `arguments` in each worker, and the `settings`.
    """
    import ray.train
    from ray.train.torch import get_device

    stage: Stage = config["stage"]
    settings: TrainSettings = config["settings"]
    context = ray.train.get_context()
    workers = _workers(context.get_world_rank(), context.get_world_size())
    folder = store(stage.url)
    task: Task = config["build"](**config["arguments"])
    # Checkpoints come in evaluation mode, with frozen batch statistics.
    task.module.train().to(get_device())
    trainer = Trainer(task.module, settings.optimizer, settings.seed, workers)
    restore(folder, trainer)
    statistics = BatchStatistics(task.module)
    shares = shares_of(task, settings, workers, statistics)
    steps, is_first = settings.optimizer.steps, workers.rank == 0
    recorder = Recorder(
        folder,
        stage.name,
        trainer,
        clips=len(task.batches.rows(0)),
        in_worker=settings.workers > 0,
    )
    with recorder if is_first else contextlib.nullcontext():
        if trainer.idle and settings.optimizer.groups.set:
            log.warning("%s: a learning rate, but no parameters", ", ".join(trainer.idle))
        read = prefetched(
            lambda step: task.batches.read(step, workers.rank, workers.count), trainer.step, steps
        )
        for batch in recorder.timed(read):
            try:
                values = trainer.take_parts(partial(shares, batch))
            except TrainingError as error:
                keys = ", ".join(_keys(task.batches, trainer.step, error, settings, workers.count))
                raise TrainingError(f"{error} among those of the batch: {keys}") from error
            statistics.average(workers)
            task.after_step(trainer.step - 1)
            is_due = trainer.step % settings.checkpoint_every == 0
            if is_first:
                recorder.record(values | task.watch(trainer.step - 1, values))
                recorder.add(task.validate(trainer.step))
                if is_due and trainer.step < steps:
                    recorder.checkpoint()
            if is_due or trainer.step == steps:
                ray.train.report({"step": trainer.step, **values})
        if is_first:
            recorder.checkpoint()
            folder.write("result.json", json.dumps(task.finish(folder)).encode())


def _workers(rank: int, count: int) -> Workers:
    def add_up(tensor: Tensor) -> Tensor:
        torch.distributed.all_reduce(tensor)
        return tensor

    return Workers(rank=rank, count=count, add_up=add_up) if count > 1 else ALONE


def shares_of(
    task: Task, settings: TrainSettings, workers: Workers, statistics: BatchStatistics
) -> Callable[[list[Example], int, torch.Generator], Iterator[Share]]:
    """The parts of a step's loss, one after the other, as the trainer wants them."""
    from ray.train.torch import prepare_model

    if settings.compile:
        compile_blocks(task.module)
    module: nn.Module = Shares(task.module, settings.precision)
    if workers.count > 1:
        wrapping = {
            # Blocks above the layer in use get none where the clip branch pays no loss.
            "find_unused_parameters": True,
            # Workers agree on their statistics after each step.
            "broadcast_buffers": False,
        }
        module = prepare_model(module, parallel_strategy_kwargs=wrapping)

    def shares(batch: list[Example], step: int, generator: torch.Generator) -> Iterator[Share]:
        prepared = task.prepare(batch, step, generator)
        counts = task.module.totals(prepared)
        added = workers.add_up(torch.stack(list(counts.values())).double())
        totals = dict(zip(counts, added, strict=True))
        parts = prepared.split(settings.accumulate)
        for number, part in enumerate(parts):
            statistics.begin(number, len(parts))
            alone = workers.count == 1 or number == len(parts) - 1
            # Workers add up their gradients once, with the last part.
            with contextlib.nullcontext() if alone else module.no_sync():  # type: ignore[operator]
                yield module(part, totals)

    return shares


def _keys(
    batches: Batches, step: int, error: TrainingError, settings: TrainSettings, world: int
) -> list[str]:
    """The clips of the parts whose loss is no number, or where none stands out, of the batch."""
    bad = {
        row.key
        for rank, part in error.parts
        for row in batches.rows(step, rank, world)[part :: settings.accumulate]
    }
    return [row.key for row in batches.rows(step) if not bad or row.key in bad]
