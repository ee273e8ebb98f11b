"""`pmam run --redo STAGE`: that stage and those behind it again; what is there is set aside.

What is to be set aside is written down first (`redo.json` in the run's folder): each folder with
the attempt that is in it. Each stage then sets its own folder aside when the run reaches it. So a
run that was killed goes on by the same command, or by one without `--redo`, and sets nothing aside
that was made since. The file goes when the run is through.
"""

import contextlib
import json
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.set_aside import set_aside, sweep
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.stage import (
    DONE,
    PLAN,
    StageError,
    commanded,
    current_command,
    read_record,
)
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


@contextlib.contextmanager
def redoing(out: str, stage: str | None, folders: Sequence[str]) -> Iterator[None]:
    """Stages called in here set aside what is to be done again, each when it is reached.

    So a run whose settings are refused by a stage before has moved nothing. A redo that was killed
    goes on, whether it is asked for again or not.

    Args:
        out: the run's folder.
        stage: the first stage that is done again, as it was asked for; None: no other than those
            of a redo that was killed.
        folders: the names in the run of the folders of that stage and of those behind it.

    Raises:
        StageError: a folder is there that is no stage's, or of another format version.
    """
    intent = before = _intent(out)
    if stage is not None and (intent is None or intent["stage"] != stage):
        found = {name: attempt for name in folders if (attempt := _attempt(out, name))}
        left = {} if intent is None else intent["set_aside"]
        intent = {"stage": stage, "set_aside": {**left, **found}} if found or left else None
        if intent is not None:
            _write(out, intent)
    if intent is None:
        yield
        return
    attempts, moved = intent["set_aside"], []

    def reached(url: str) -> None:
        name = url.rpartition("/")[2]
        if url == join(out, name) and name in attempts and _attempt(out, name) == attempts[name]:
            moved.append(name)
            log.info("%-14s set aside as %s", name, set_aside(url, PLAN))

    try:
        with commanded(replace(current_command(), reached=reached)):
            yield
    except Exception:
        if intent is not before and not moved:  # refused: as if it had not been asked for
            _write(out, before)
        raise
    sweep(store(out), INTENT)  # first: a kill after the next line is none that we hear of
    store(out).delete(INTENT)


def _intent(out: str) -> dict[str, Any] | None:
    folder = store(out)
    if folder.size(INTENT) is None:
        return None
    try:
        intent = json.loads(folder.read(INTENT))
        return {"stage": str(intent["stage"]), "set_aside": dict(intent["set_aside"])}
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{join(out, INTENT)}: not the record of a redo ({error!r}); move it elsewhere, and "
            "give --redo again"
        ) from error


def _write(out: str, intent: dict[str, Any] | None) -> None:
    if intent is None:
        store(out).delete(INTENT)
    else:
        store(out).write(INTENT, json.dumps(intent, indent=1).encode())


def _attempt(out: str, name: str) -> str | None:
    """What tells the content of a stage's folder from what was or will be there."""
    folder: Store = store(join(out, name))
    record = read_record(folder, PLAN) or read_record(folder, DONE)
    if record is None and folder.names():
        raise StageError(
            f"{join(out, name)}: is not empty and no stage of pmam wrote it; move it elsewhere"
        )
    return None if record is None else str(record["attempt"])
