"""Worker groups of Ray Train: how they start, what a worker refused, and workers that died."""

import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cluster.resources import room
from cluster.session import is_cluster, session
from pipelines.runtime.errors import USER_ERRORS, PipelineError
from pipelines.runtime.files.room import on_node
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.crew import Crew, check_room
from pipelines.runtime.workers.nodes import expected, left_out, selector
from pipelines.runtime.workers.remote_progress import watching

RESTARTS = 2  # of a worker group, where one of its workers died
log = logging.getLogger("pmam")


class WorkersDiedError(PipelineError, ChildProcessError):
    """Processes that ended, again and again; the message is one line."""


def run_workers(
    worker: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    *,
    stage: Stage,
    crew: Crew,
    kept: Callable[[], int] = lambda: 0,
) -> None:
    """Run a function in each worker of a group of Ray Train, and show what they report.

    Args:
        worker: called in each worker, which Train has told its rank and its device.
        config: its argument, which also gets what each worker is `expected` to run, and
            whether it is `in_worker`.
        stage: owns the folder that workers write to.
        crew: the workers; on one machine, 0 of them: it is called in this process, by Train's
            local mode.
        kept: how far what workers log counts: see `remote_progress.watching`.

    Raises:
        an error that a person can act on: what a worker refused.
        RoomError: the cluster can never hold so many workers.
        WorkersDiedError: workers died, again and again.
        WorkerGroupError: workers failed in another way.
    """
    with session():
        import ray.train
        from ray.train.torch import TorchTrainer

        count = crew.count(on_cluster=is_cluster())
        each: dict[str, float] = {}
        if count:
            there = room(left_out())
            each = {**crew.each(there if is_cluster() else there.with_one_less(), count)}
            check_room(stage.name, there, each, count)
        config = {**config, "expected": expected() if count else None, "in_worker": count != 0}
        scaling = ray.train.ScalingConfig(
            num_workers=count,  # type: ignore[arg-type]  # a pair, of Train V2
            use_gpu="GPU" in each,
            resources_per_worker=each or None,
            label_selector=selector(),  # type: ignore[call-arg]  # of Train V2
        )

        def fit() -> None:
            with tempfile.TemporaryDirectory(prefix="pmam-train-") as scratch:
                run = ray.train.RunConfig(
                    # Train silently continues an old run of the same name.
                    name=f"{stage.name}-{stage.fingerprint[:12]}",
                    storage_path=scratch if count else None,
                )
                TorchTrainer(
                    partial(_named, worker) if count else worker,
                    train_loop_config=config,
                    scaling_config=scaling,
                    run_config=run,
                ).fit()

        if count == 0:
            fit()
        else:
            least = count[0] if isinstance(count, tuple) else count
            with watching(stage.store, kept, (f"{stage.name} (workers)", least)):
                restarted(fit)


def _named(worker: Callable[[dict[str, Any]], None], config: dict[str, Any]) -> None:
    """In a worker: what it does, and on a full disk which node's it is."""
    try:
        worker(config)
    except Exception as error:
        if (full := on_node(error)) is None:
            raise
        raise full from error


def restarted(fit: Callable[[], None]) -> None:
    """Run a worker group; start it anew where a worker died.

    Not Train's own restarts: they repeat what failed for its input, which fails again.

    Raises:
        an error that a person can act on: what a worker refused.
        WorkersDiedError: workers died, again and again.
        WorkerGroupError: workers failed in another way.
    """
    from ray.train import WorkerGroupError

    for attempt in range(RESTARTS + 1):
        try:
            return fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                # Memory that ran out may be there for the next group.
                if isinstance(failure, USER_ERRORS) and not isinstance(failure, MemoryError):
                    raise failure from error
            if attempt == RESTARTS:
                if (told := _told(error.worker_failures)) is not None:
                    raise told from error
                raise
            log.warning("%s; the workers are started again", " ".join(str(error).split())[:200])


def _told(failures: Mapping[int, Exception]) -> WorkersDiedError | None:
    """What to say of workers that died; None where none did."""
    for rank, failure in failures.items():
        lines = str(failure).splitlines()
        if _died(failure):
            return WorkersDiedError(
                f"workers died {RESTARTS + 1} times, the last of worker {rank}: "
                f"{lines[0] if lines else type(failure).__name__}; what they finished is kept, and "
                "the same command goes on from it; where memory ran out, give it more machines or "
                "fewer workers on each"
            )
    return None


def _died(failure: Exception) -> bool:
    """Whether a process, or its memory, ended: what Ray says of one, and what allocators say."""
    return (
        type(failure).__module__.startswith("ray.")
        or isinstance(failure, MemoryError)
        or (isinstance(failure, RuntimeError) and "memory" in str(failure))
    )
