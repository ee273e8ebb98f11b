"""`pmam run --redo STAGE`: that stage and those behind it again; what is there is set aside.

What is to be set aside is written down first (`redo.json` in the run's folder): each folder with
the attempt that is in it. So a run that was killed goes on by the same command, or by one without
`--redo`, and sets nothing aside that was made since. The file goes when the run is through.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.set_aside import set_aside, sweep
from pipelines.runtime.stage import DONE, PLAN, StageError, read_record
from pipelines.runtime.urls import join, store
from shards.io.store import Store

INTENT = "redo.json"
log = logging.getLogger("pmam")


def from_stage(stages: Sequence[str], stage: str) -> list[str]:
    """A stage and those behind it, in the run's order; `fit` is `fit-1`.

    Raises:
        PipelineError: the run has no such stage.
    """
    for place, name in enumerate(stages):
        if stage in (name, re.sub(r"-\d+$", "", name)):
            return list(stages[place:])
    raise PipelineError(f"redo {stage!r}: expected a stage of this run: {', '.join(stages)}")


def begin_redo(out: str, stage: str, folders: Mapping[str, str]) -> None:
    """Set aside what was made of some stages; goes on with it where the same was begun before.

    Args:
        out: the run's folder.
        stage: the first of them, as it was asked for.
        folders: the names of their folders in the run, by stage.

    Raises:
        StageError: a folder is there that is no stage's, or of another format version.
    """
    if go_on(out) == stage:
        return
    found = {name: attempt for name in folders.values() if (attempt := _attempt(out, name))}
    if not found:
        return
    intent = {"stage": stage, "set_aside": found}
    store(out).write(INTENT, json.dumps(intent, indent=1).encode())
    go_on(out)


def go_on(out: str) -> str | None:
    """Set aside what a redo that was killed has not yet; returns its stage, if there was one."""
    folder = store(out)
    if folder.size(INTENT) is None:
        return None
    intent = json.loads(folder.read(INTENT))
    for name, attempt in intent["set_aside"].items():
        if _attempt(out, name) == attempt:
            log.info("%-14s set aside as %s", name, set_aside(join(out, name), PLAN))
    return str(intent["stage"])


def end_redo(out: str) -> None:
    """The run is through."""
    sweep(store(out), INTENT)  # first: a kill after the next line is none that we hear of
    store(out).delete(INTENT)


def _attempt(out: str, name: str) -> str | None:
    """What tells the content of a stage's folder from what was or will be there."""
    folder: Store = store(join(out, name))
    record = read_record(folder, PLAN) or read_record(folder, DONE)
    if record is None and folder.names():
        raise StageError(
            f"{join(out, name)}: is not empty and no stage of pmam wrote it; move it elsewhere"
        )
    return None if record is None else str(record["attempt"])
