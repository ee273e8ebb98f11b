"""Ray Data jobs that write one output per input shard, and go on after a kill.

One row is one shard's task. A worker writes that shard's outputs whole, then its part: a small
JSON that names them with their sizes. A part whose outputs are all there is not done again. Ray
may split, merge and retry rows as it likes: a retried row writes the same bytes under the same
name.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from cluster.session import session
from pipelines.runtime.actors import through_actors
from pipelines.runtime.errors import USER_ERRORS, PipelineError
from pipelines.runtime.pool import Pool
from pipelines.runtime.progress import bar
from pipelines.runtime.stage import Stage
from pipelines.runtime.urls import store
from shards.io.store import Store

PARTS = "parts"
ALL_ROOM = Pool()
ShardTask = Mapping[str, Any]
ShardResult = dict[str, Any]
# Built once in each worker; called with the task of one shard, returns the shard's part: plain
# values, and under "outputs" the names of the files that it wrote.
Worker = Callable[[ShardTask], ShardResult]


class PartError(PipelineError):
    """What a worker could not use; the message is the worker's own line."""


class _Actor:
    """What Ray Data keeps alive: the worker, and where its parts go.

    Errors of the input travel back as values: Ray would wrap them in its own, print these, and
    lose which kind they were.
    """

    def __init__(self, make: Callable[..., Worker], arguments: Mapping[str, Any], url: str) -> None:
        self.make, self.arguments, self.url = make, arguments, url
        self.worker: Worker | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        done = {"name": row["name"], "part": "", "weight": row["weight"], "error": "", "trace": ""}
        try:
            if self.worker is None:
                self.worker = self.make(**self.arguments)
            result, folder = self.worker(json.loads(row["task"])), store(self.url)
            outputs = {name: folder.size(name) for name in result["outputs"]}
            part = json.dumps({**result, "outputs": outputs})
            folder.write(part_name(row["name"]), part.encode())
        except USER_ERRORS as error:
            return {**done, "error": str(error), "trace": traceback.format_exc()}
        return {**done, "part": part}


def part_name(name: str) -> str:
    """The file of a shard's part."""
    return f"{PARTS}/{name}.json"


def run_parts(
    stage: Stage,
    tasks: Mapping[str, ShardTask],
    make: Callable[..., Worker],
    arguments: Mapping[str, Any],
    *,
    weights: Mapping[str, int],
    unit: str = "clips",
    pool: Pool = ALL_ROOM,
    again: Callable[[ShardResult], bool] = lambda part: False,
) -> list[ShardResult]:
    """Do every task once, on all workers of the cluster; the parts in the order of the tasks.

    In them, "outputs" holds the size of each file by its name.

    Args:
        stage: owns the folder that parts go to.
        tasks: JSON values by name; the names are those of the outputs.
        make: builds the worker in its own process, from `arguments`.
        arguments: keyword arguments of `make`, plain values.
        weights: how much of the progress each task is.
        unit: what the weights count.
        pool: how many workers there are.
        again: tells of a part of an earlier run whether it can be made better now.

    Raises:
        PartError: a worker got what it cannot use; parts that are done stay.
    """
    folder = stage.store
    sizes = dict(folder.listing())
    kept = {name: _finished(folder, sizes, name) for name in tasks}
    parts = {name: part for name, part in kept.items() if part is not None and not again(part)}
    waiting = [name for name in tasks if name not in parts]
    total = sum(weights[name] for name in tasks)
    done = sum(weights[name] for name in parts)
    rows = [{"name": n, "task": json.dumps(tasks[n]), "weight": weights[n]} for n in waiting]
    actor = {"make": make, "arguments": dict(arguments), "url": stage.url}
    with (
        session(),
        bar(f"{stage.name} ({unit})", total, done) as advance,
        # Where one failed, workers end before anybody looks at what is in the folder.
        closing(through_actors(rows, _Actor, actor, pool)) as done_rows,
    ):
        for row in done_rows:
            if row["error"]:
                failure = PartError(row["error"])
                failure.add_note(row["trace"])  # for PMAM_TRACEBACK
                raise failure
            parts[row["name"]] = json.loads(row["part"])
            advance(row["weight"], "")
    return [parts[name] for name in tasks]


def _finished(folder: Store, sizes: Mapping[str, int], name: str) -> ShardResult | None:
    """A part of an earlier run, if all that it names is there in full size."""
    if part_name(name) not in sizes:
        return None
    try:
        part: ShardResult = json.loads(folder.read(part_name(name)))
    except ValueError:  # an object store may show what a broken connection left
        return None
    whole = all(sizes.get(output) == size for output, size in part["outputs"].items())
    return part if whole else None
