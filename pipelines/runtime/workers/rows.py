"""Rows through workers that stay alive, as a Ray Data job.

Without GPUs a job is of Ray's tasks, whose processes stay when it ends: the next one finds them
with their imports done, begins within a second, and holds nothing that another kind of work waits
for. On GPUs it is of actors: a process that has touched one GPU cannot go on to another.
"""

import itertools
import os
import sys
import uuid
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from cluster.node_code import Report
from cluster.resources import room
from pipelines.runtime.workers.nodes import Guarded, answer, expected, left_out, selector
from pipelines.runtime.workers.pool import Pool

# What this process has built for the job that it works for, by the job's name; only one is kept.
_built: dict[str, Guarded] = {}
# Of the driver: jobs that ended early. Ray interrupts their workers, maybe within an import, and
# who comes after uses other processes, which Ray tells apart by their environment.
_cut_short = itertools.count()
_environment: dict[str, Any] | None = None


def through_workers(
    rows: Sequence[Mapping[str, Any]],
    worker: type,
    arguments: Mapping[str, Any],
    pool: Pool,
    *,
    most_blocks: int | None = None,
) -> Generator[dict[str, Any]]:
    """What workers make of each row, each as soon as it is made, in any order.

    Args:
        rows: plain values by column; none start nothing.
        worker: built once in each process, called with a row, returns one.
        arguments: keyword arguments of `worker`.
        pool: how many workers there are.
        most_blocks: rows go out in at most so many blocks; by default each by itself.

    Raises:
        OtherCodeError: a node that joined since the check runs something else.
        RoomError: the cluster can never hold one worker.
    """
    global _environment
    if not rows:
        return
    import ray.data

    size = pool.size(len(rows), room(left_out()))
    blocks = min(len(rows), most_blocks or len(rows))
    built = (worker, dict(arguments), expected())
    how: dict[str, Any]
    if "GPU" in size.each:
        workers = ray.data.ActorPoolStrategy(min_size=size.least, max_size=size.most)
        how = {"fn": Guarded, "fn_constructor_args": built, "compute": workers}
    else:
        tasks = ray.data.TaskPoolStrategy(size=min(size.most, blocks))
        how = {"fn": _in_kept_process, "fn_args": (uuid.uuid4().hex, *built), "compute": tasks}
    dataset = ray.data.from_items(list(rows), override_num_blocks=blocks).map(
        **how,
        num_cpus=size.each["CPU"],
        num_gpus=size.each.get("GPU"),
        memory=size.each.get("memory"),
        label_selector=selector(),
        runtime_env=_environment,
    )
    whole = False
    try:
        for row in dataset.iter_rows():
            yield answer(row)
        whole = True
    finally:
        if not whole:
            _environment = {"env_vars": {"PMAM_JOBS_CUT_SHORT": str(next(_cut_short))}}


def _in_kept_process(
    row: dict[str, Any],
    job: str,
    make: type,
    arguments: Mapping[str, Any],
    expected: Report | None,
) -> dict[str, Any]:
    """What the worker of a job makes of a row; built where the process last worked for another."""
    if job not in _built:
        _built.clear()  # first: two models may not fit
        _built[job] = Guarded(make, arguments, expected)
    threads = os.environ.get("OMP_NUM_THREADS", "")  # by Ray for this task, or as the user has it
    if "torch" in sys.modules and threads.isdigit():
        import torch

        torch.set_num_threads(int(threads))  # a job before may have had other CPUs
    return _built[job](row)
