"""What has been done already: a stage is kept, continued or refused by what it is made of.

A stage owns a folder. `plan.json` is written first and says what the folder is for; `stage.json`
is written last and says that it is whole. Both hold the stage's identity (`identity`): settings
that are not at their defaults, fingerprints of inputs, and the stage's algorithm version. That
version is a number in the stage's file, raised by whoever changes what the stage computes. Nothing
that is finished is deleted, but by `fresh`.
"""

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cluster.storage.urls import absolute
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.folders import (
    absent_folders,
    delete_all,
    leave_nothing,
    remove_files,
    sweep_temporary,
)
from pipelines.runtime.files.set_aside import set_aside
from pipelines.runtime.files.urls import store
from pipelines.runtime.identity import Identity, differences, digest, identify
from pipelines.runtime.words import counted

if TYPE_CHECKING:
    from shards.io.store import Store

FORMAT_VERSION = 2
PLAN, DONE = "plan.json", "stage.json"
log = logging.getLogger("pmam")


class StageError(PipelineError):
    """A stage's folder that cannot be used as it is."""


# From what a stage recorded to what it did, in a few words for people.
Summary = Callable[[Mapping[str, Any]], str]


def brief(result: Mapping[str, Any]) -> str:
    """What a stage did that has no words of its own for it."""
    return f"done: {counted(result['clips'], 'clip')}" if "clips" in result else "done"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage at work: where it writes, and what identifies what it writes."""

    name: str
    url: str
    fingerprint: str

    @property
    def store(self) -> "Store":
        """The folder of the stage."""
        return store(self.url)


@dataclass(frozen=True, kw_only=True)
class Command:
    """The command that stages are a part of."""

    # Called with the URL of a stage's folder, before it is looked at.
    reached: Callable[[str], None] = lambda url: None
    # Called before a stage writes the first thing.
    begin: Callable[[], None] = lambda: None
    # How a stage is done again, and where something else goes; `{stage}` is its name.
    redo: str = "the same command with --fresh"
    elsewhere: str = "give another output folder, or --fresh, which deletes what is there"


_ALONE = Command()
_COMMAND: ContextVar[Command] = ContextVar("command", default=_ALONE)


def current_command() -> Command:
    """The command that stages here are a part of."""
    return _COMMAND.get()


@contextlib.contextmanager
def commanded(command: Command) -> Iterator[None]:
    """Stages in here are a part of this command."""
    token = _COMMAND.set(command)
    try:
        yield
    finally:
        _COMMAND.reset(token)


def record_of(url: str) -> dict[str, Any]:
    """What a finished stage recorded.

    Raises:
        StageError: no stage finished there.
    """
    record = read_record(store(url), DONE)
    if record is None:
        raise StageError(f"{url}: no finished stage here ({DONE} missing); run the stage before")
    return record


def fingerprint_of(url: str) -> str:
    """What identifies the content of a finished stage."""
    return str(record_of(url)["fingerprint"])


def listing_fingerprint(url: str, *, leave_odd_names: bool = False) -> str:
    """What identifies a folder of raw files: their names, sizes and times of change."""
    source = store(url)
    source.leaves_odd_names = leave_odd_names
    return digest([(name, size, source.mtime_ns(name)) for name, size in source.listing()])


def run_stage(
    name: str,
    url: str,
    work: Callable[[Stage], Mapping[str, Any]],
    *,
    settings: Any,
    inputs: Mapping[str, str],
    version: int,
    summary: Summary = brief,
    fresh: bool = False,
    reopen: bool = False,
    working: Sequence[str] = (),
) -> dict[str, Any]:
    """Run `work` unless the same was done before; returns the stage's record.

    Args:
        name: of the stage, for people.
        url: the folder that the stage owns.
        work: does the stage and returns what to record; it may be called again after a kill and
            must then go on from what is whole.
        settings: a dataclass; every field that is not at its default counts.
        inputs: fingerprints by name.
        version: the stage's algorithm version. What an older one finished is kept and used; what
            it left unfinished is set aside, and done anew.
        summary: says what was done, of what is recorded.
        fresh: delete what is there, and start over even if it was done.
        reopen: let `work` go on where the stage is finished: some of it can be made better now.
        working: folders of the stage by which it goes on after a kill, and which nobody else
            reads; they are removed when it is finished.

    Raises:
        StageError: the folder holds something else, lacks a file, or was written by another
            format version or a newer algorithm version. Nothing in it was changed.
    """
    url = absolute(url)
    identity = identify(name.rstrip("-0123456789"), settings, inputs, version)
    folder = store(url)
    _COMMAND.get().reached(url)
    before = None if fresh else _usable(name, url, folder, identity)
    done = before is not None and "files" in before
    if before is not None and before["algorithm_version"] < version:
        versions = f"algorithm version {before['algorithm_version']}, now {version}"
        if done:
            again = _COMMAND.get().redo.format(stage=name)
            log.info("%-14s kept %s: made by %s; %s does it again", name, url, versions, again)
            return before
        aside = set_aside(url, PLAN)
        log.info("%-14s begins anew: unfinished by %s; set aside as %s", name, versions, aside)
        before = None
    if done and before is not None and not reopen:
        log.info("%-14s unchanged, kept %s", name, url)
        return before
    if fresh:
        _delete(folder, url)
    absent = absent_folders(folder)
    _COMMAND.get().begin()
    if before is None:
        plan = {
            "format_version": FORMAT_VERSION,
            **identity.to_json(),
            "fingerprint": identity.fingerprint,
            # Tells this folder's content from what was or will be made of the same.
            "attempt": uuid.uuid4().hex,
        }
        folder.write(PLAN, json.dumps(plan, indent=1).encode())
    else:
        folder.delete(DONE)  # where it is opened again
        plan = {key: before[key] for key in before if key not in ("seconds", "result", "files")}
        log.info("%-14s continues in %s", name, url)
    begun, started = time.time(), time.monotonic()
    try:
        result = dict(work(Stage(name=name, url=url, fingerprint=plan["fingerprint"])))
    except BaseException:
        if set(folder.names()) <= {PLAN}:  # of no use to anybody
            leave_nothing(folder, absent)
        raise
    seconds = round(time.monotonic() - started, 1)
    sweep_temporary(folder, begun)
    files = {n: size for n, size in folder.listing() if n not in (PLAN, DONE)}
    gone = [n for n in files if n.partition("/")[0] in working]
    kept = {n: size for n, size in files.items() if n not in gone}
    record = {**plan, "seconds": seconds, "result": result, "files": kept}
    folder.write(DONE, json.dumps(record, indent=1).encode())
    # After the record: a kill in between leaves files, and no work to be done again.
    remove_files(folder, gone)
    log.info("%-14s %s in %.1f s", name, summary(result), seconds)
    return record


def _usable(name: str, url: str, folder: "Store", identity: Identity) -> dict[str, Any] | None:
    """What is recorded of the same stage, finished or not; None where the folder is empty."""
    record = read_record(folder, DONE) or read_record(folder, PLAN)
    if record is None:
        if folder.names():
            raise StageError(
                f"{url}: is not empty and no stage of pmam wrote it; give an empty or new folder"
            )
        return None
    command, version = _COMMAND.get(), identity.algorithm_version
    elsewhere = command.elsewhere.format(stage=name)
    if record["stage"] != identity.stage:
        raise StageError(
            f"{url}: holds the stage {record['stage']}, expected {identity.stage}; give another "
            "output folder"
        )
    if record["algorithm_version"] > version:
        raise StageError(
            f"{url}: made by algorithm version {record['algorithm_version']} of {name}, and this "
            f"pmam has {version}; use the newer pmam that made it, or another output folder"
        )
    if different := differences(record, identity.to_json()):
        raise StageError(f"{url}: made of something else: {'; '.join(different)}. {elsewhere}")
    present = dict(folder.listing())
    for file, size in record.get("files", {}).items():
        if present.get(file) != size:
            # Not done again unasked: it may have taken days, and a copy of the file may exist.
            got = f"{present[file]} bytes" if file in present else "missing"
            raise StageError(
                f"{folder.path(file)}: {got}, expected {size} bytes; put the file back, or do the "
                f"stage again: {command.redo.format(stage=name)}"
            )
    return record


def read_record(folder: "Store", name: str) -> dict[str, Any] | None:
    """What `plan.json` or `stage.json` of a folder says; None where there is no such file.

    Raises:
        StageError: it is no record, or one of another format version.
    """
    if folder.size(name) is None:
        return None
    path = folder.path(name)
    try:
        record = json.loads(folder.read(name))
        version = record["format_version"]
        _ = record["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{path}: not a stage's record ({error!r}); give another folder"
        ) from error
    if version != FORMAT_VERSION:
        raise StageError(
            f"{path}: format version {version}, expected {FORMAT_VERSION}; "
            "use another run directory, or the version of pmam that wrote it"
        )
    return dict(record)


def _delete(folder: "Store", url: str) -> None:
    names = folder.names()
    if names and PLAN not in names and DONE not in names:
        raise StageError(
            f"{url}: is not empty and no stage of pmam wrote it; give an empty or new folder"
        )
    delete_all(folder, PLAN if PLAN in names else DONE)
