"""What each worker of a training runs: read ahead, compute, update, record."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.nodes import check_process
from pipelines.training.examples import TrainingClips, in_background
from pipelines.training.recorder import Recorder, restore
from pipelines.training.settings import TrainSettings
from pmam.training.batch_norm_sync import BatchStatistics
from pmam.training.beside import Beside, parts_beside
from pmam.training.clip_draws import ClipDraws
from pmam.training.errors import TrainingError
from pmam.training.memory import keep_freed_memory
from pmam.training.precision import Shares, compile_blocks
from pmam.training.settings import Plateau
from pmam.training.trainer import ALONE, Share, Trainer, Workers
from shards.io.store import Store
from shards.loading.examples import Example
from shards.loading.loader import Loader

log = logging.getLogger("pmam")


class Prepared(Protocol):
    """A worker's batch, with all that is drawn for it."""

    def split(self, parts: int) -> list[Any]:
        """In parts that fit in memory."""


class Task(Protocol):
    """What a stage trains."""

    # An nn.Module whose loss adds up over parts of a batch: `totals(prepared)` says what means are
    # over, `partial_loss(part, totals)` what a part adds to the loss and to the means to log.
    module: Any
    clips: TrainingClips
    # A learning rate that follows what `validate` logs; None for a schedule of steps alone.
    plateau: Plateau | None

    def prepare(self, batch: list[Example], step: int, random: ClipDraws) -> Prepared:
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
        config: the `stage`, what `build` makes of `arguments` in each worker, the `settings`, and
            what each worker is `expected` to run, and whether it is `in_worker` of a group.

    Raises:
        OtherCodeError: this one runs something else.
    """
    import ray.train
    from ray.train.torch import get_device

    check_process(config["expected"])
    keep_freed_memory()
    stage: Stage = config["stage"]
    settings: TrainSettings = config["settings"]
    context = ray.train.get_context()
    workers = _workers(context.get_world_rank(), context.get_world_size())
    folder = store(stage.url)
    task: Task = config["build"](**config["arguments"])
    # Checkpoints come in evaluation mode, with frozen batch statistics.
    task.module.train().to(get_device())
    trainer = Trainer(task.module, settings.optimizer, settings.seed, workers, task.plateau)
    restore(folder, trainer)
    statistics = BatchStatistics(task.module)
    clips = len(task.clips.everything.rows(0))
    shares = shares_of(task, settings, workers, statistics, clips)
    steps, is_first = settings.optimizer.steps, workers.rank == 0
    recorder = Recorder(
        folder,
        stage.name,
        trainer,
        clips=clips,
        in_worker=config["in_worker"],
    )
    with recorder if is_first else contextlib.nullcontext():
        if trainer.idle and settings.optimizer.groups.set:
            log.warning("%s: a learning rate, but no parameters", ", ".join(trainer.idle))
        loader = task.clips.loader(workers.rank, workers.world_size)
        batches = (batch.examples for batch in loader.batches(steps, first=trainer.step))
        made = in_background(prepared(task, batches, trainer.step, settings.seed))
        for batch in recorder.timed(made):
            try:
                values = trainer.take_parts(partial(shares, batch))
            except TrainingError as error:
                keys = ", ".join(
                    _keys(task.clips.everything, trainer.step, error, settings, workers.world_size)
                )
                raise TrainingError(f"{error} among those of the batch: {keys}") from error
            statistics.average(workers)
            task.after_step(trainer.step - 1)
            is_due = trainer.step % settings.checkpoint_every == 0
            if is_first:
                recorder.record(values | task.watch(trainer.step - 1, values))
            found = task.validate(trainer.step) if is_first else {}
            _judge(trainer, found, workers)
            if is_first:
                recorder.add(found)
                if is_due and trainer.step < steps:
                    recorder.checkpoint()
            if is_due or trainer.step == steps:
                ray.train.report({"step": trainer.step, **values})
        if is_first:
            recorder.checkpoint()
            folder.write("result.json", json.dumps(task.finish(folder)).encode())


def _judge(trainer: Trainer, found: Mapping[str, float], workers: Workers) -> None:
    """Tell each worker's trainer what the first one's validation found, where it found something.

    Raises:
        KeyError: a validation that does not log the metric of the plateau.
    """
    if trainer.plateau is None:
        return
    value = found[trainer.plateau.metric] if found else 0.0
    told = torch.tensor([float(bool(found)), value], dtype=torch.float64)
    device = trainer.parameters[0].device
    has, shared = workers.add_up(told.to(device)).tolist()
    if has:
        trainer.judge(shared)


def _workers(rank: int, count: int) -> Workers:
    def add_up(tensor: Tensor) -> Tensor:
        torch.distributed.all_reduce(tensor)
        return tensor

    return Workers(rank=rank, world_size=count, add_up=add_up) if count > 1 else ALONE


def shares_of(
    task: Task,
    settings: TrainSettings,
    workers: Workers,
    statistics: BatchStatistics,
    clips: int = 0,
) -> Callable[[Prepared, int, torch.Generator], Iterator[Share]]:
    """The parts of the loss of a prepared batch, one after the other, for the trainer.

    Args:
        task: what is trained.
        settings: how.
        workers: who trains together.
        statistics: of the task's module.
        clips: in a batch; where several cores are worth it for so many, they share its parts.
    """
    from ray.train.torch import prepare_model

    if settings.compile:
        compile_blocks(task.module)
    module: nn.Module = Shares(task.module, settings.precision)
    beside = parts_beside(task.module, clips // settings.accumulate)
    if workers.world_size == 1 and beside > 1 and not settings.compile:
        module = Beside(module, beside)
    if workers.world_size > 1:
        wrapping = {
            # Blocks above the layer in use get none where the clip branch pays no loss.
            "find_unused_parameters": True,
            # Workers agree on their statistics after each step.
            "broadcast_buffers": False,
        }
        module = prepare_model(module, parallel_strategy_kwargs=wrapping)

    def shares(batch: Prepared, step: int, generator: torch.Generator) -> Iterator[Share]:
        counts = task.module.totals(batch)
        added = workers.add_up(torch.stack(list(counts.values())).double())
        totals = dict(zip(counts, added, strict=True))
        parts = batch.split(settings.accumulate)
        for number, part in enumerate(parts):
            statistics.begin(number, len(parts))
            alone = workers.world_size == 1 or number == len(parts) - 1
            # Workers add up their gradients once, with the last part.
            with contextlib.nullcontext() if alone else module.no_sync():  # type: ignore[operator]
                yield module(part, totals)

    return shares


def prepared(
    task: Task, batches: Iterator[list[Example]], first: int, seed: int
) -> Iterator[Prepared]:
    """Each batch with all that is drawn for it; `first` is the step of the first one."""
    for step, batch in enumerate(batches, first):
        yield task.prepare(batch, step, draws_of(batch, step, seed))


def draws_of(batch: Sequence[Example], step: int, seed: int) -> ClipDraws:
    """Each clip's own random numbers: the same on any number of workers."""
    return ClipDraws(seed, step, [f"{example.row.key}:{example.epoch}" for example in batch])


def _keys(
    loader: Loader, step: int, error: TrainingError, settings: TrainSettings, world_size: int
) -> list[str]:
    """The clips of the parts whose loss is no number, or where none stands out, of the batch."""
    bad = {
        row.key
        for rank, part in error.parts
        for row in loader.rows(step, rank, world_size)[part :: settings.accumulate]
    }
    return [row.key for row in loader.rows(step) if not bad or row.key in bad]
