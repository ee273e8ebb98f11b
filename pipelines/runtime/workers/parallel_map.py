"""Ray Data jobs that write one output per input shard, and go on after a kill.

One row is one shard's task. A worker writes that shard's outputs whole, then its result: a small
JSON that names them with their sizes. A task whose outputs are all there is not done again. Ray
may split, merge and retry rows as it likes: a retried row writes the same bytes under the same
name.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from cluster.session import session
from pipelines.runtime.errors import USER_ERRORS, PipelineError
from pipelines.runtime.files.room import on_node
from pipelines.runtime.files.urls import store
from pipelines.runtime.stage import Stage
from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.progress import bar
from pipelines.runtime.workers.remote_progress import asked
from pipelines.runtime.workers.rows import through_workers
from shards.io.store import Store

RESULTS = "parts"  # the folder, by its name on disk
ALL_ROOM = Pool()
ShardTask = Mapping[str, Any]
ShardResult = dict[str, Any]
# Built once in each worker; called with the task of one shard, returns its result: plain
# values, and under "outputs" the names of the files that it wrote.
Worker = Callable[[ShardTask], ShardResult]


class ShardTaskError(PipelineError):
    """What a worker could not use; the message is the worker's own line."""


class _Kept:
    """What a process keeps: the worker, and where its results go.

    Errors of the input travel back as values: Ray would wrap them in its own, print these, and
    lose which kind they were.
    """

    def __init__(self, make: Callable[..., Worker], arguments: Mapping[str, Any], url: str) -> None:
        self.make, self.arguments, self.url = make, arguments, url
        self.worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        done = {
            "name": row["name"],
            "result": "",
            "weight": row["weight"],
            "error": "",
            "trace": "",
        }
        try:
            if self.worker is None:
                self.worker = self.make(**self.arguments)
            result, folder = self.worker(json.loads(row["task"])), store(self.url)
            outputs = {name: folder.size(name) for name in result["outputs"]}
            saved = json.dumps({**result, "outputs": outputs})
            folder.write(result_name(row["name"]), saved.encode())
        except USER_ERRORS as error:
            if on_node(error) is not None:
                raise
            return {**done, "error": str(error), "trace": traceback.format_exc()}
        return {**done, "result": saved}


def result_name(name: str) -> str:
    """The file of a shard's result."""
    return f"{RESULTS}/{name}.json"


def run_shards(
    stage: Stage,
    tasks: Mapping[str, ShardTask],
    make: Callable[..., Worker],
    arguments: Mapping[str, Any],
    *,
    weights: Mapping[str, int],
    unit: str = "clips",
    pool: Pool = ALL_ROOM,
    again: Callable[[ShardResult], bool] = lambda result: False,
) -> list[ShardResult]:
    """Do every task once, on all workers of the cluster; the results in the order of the tasks.

    In them, "outputs" holds the size of each file by its name.

    Args:
        stage: owns the folder that results go to.
        tasks: JSON values by name; the names are those of the outputs.
        make: builds the worker in its own process, from `arguments`.
        arguments: keyword arguments of `make`, plain values.
        weights: how much of the progress each task is.
        unit: what the weights count.
        pool: how many workers there are.
        again: tells of the result of an earlier run whether it can be made better now.

    Raises:
        ShardTaskError: a worker got what it cannot use; what is done stays.
    """
    folder = stage.store
    sizes = dict(folder.listing())
    kept = {name: _finished(folder, sizes, name) for name in tasks}
    results = {
        name: result for name, result in kept.items() if result is not None and not again(result)
    }
    waiting = [name for name in tasks if name not in results]
    if not waiting:
        return [results[name] for name in tasks]
    total = sum(weights[name] for name in tasks)
    done = sum(weights[name] for name in results)
    rows = [{"name": n, "task": json.dumps(tasks[n]), "weight": weights[n]} for n in waiting]
    kept_with = {"make": make, "arguments": dict(arguments), "url": stage.url}
    with (
        session(),
        asked(folder),
        bar(f"{stage.name} ({unit})", total, done) as advance,
        # Where one failed, workers end before anybody looks at what is in the folder.
        closing(through_workers(rows, _Kept, kept_with, pool)) as done_rows,
    ):
        for row in done_rows:
            if row["error"]:
                failure = ShardTaskError(row["error"])
                failure.add_note(row["trace"])  # for PMAM_TRACEBACK
                raise failure
            results[row["name"]] = json.loads(row["result"])
            advance(row["weight"], "")
    return [results[name] for name in tasks]


def _finished(folder: Store, sizes: Mapping[str, int], name: str) -> ShardResult | None:
    """The result of an earlier run, if all that it names is there in full size."""
    if result_name(name) not in sizes:
        return None
    try:
        result: ShardResult = json.loads(folder.read(result_name(name)))
    except ValueError:  # an object store may show what a broken connection left
        return None
    whole = all(sizes.get(output) == size for output, size in result["outputs"].items())
    return result if whole else None
