"""What has been done already: a stage is skipped, continued or started by its fingerprint.

A stage owns a folder. `plan.json` is written first and says what the folder is for; `stage.json`
is written last and says that it is whole. Both hold the fingerprint: a hash of the stage's
settings, of its inputs' fingerprints and of the source files that the stage imports.
"""

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.storage import absolute
from pipelines.source_code import code_version
from pipelines.urls import store
from pmam.settings import to_json
from shards.store import TEMPORARY, Store

FORMAT_VERSION = 1
PLAN, DONE = "plan.json", "stage.json"
log = logging.getLogger("pmam")


class StageError(ValueError):
    """A stage's folder that cannot be used as it is."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage at work: where it writes, and what identifies what it writes."""

    name: str
    url: str
    fingerprint: str

    @property
    def store(self) -> Store:
        """The folder of the stage."""
        return store(self.url)


def record_of(url: str) -> dict[str, Any]:
    """What a finished stage recorded.

    Raises:
        StageError: no stage finished there.
    """
    record = _read(store(url), DONE)
    if record is None:
        raise StageError(f"{url}: no finished stage here ({DONE} missing); run the stage before")
    return record


def fingerprint_of(url: str) -> str:
    """What identifies the content of a finished stage."""
    return str(record_of(url)["fingerprint"])


def listing_fingerprint(url: str) -> str:
    """What identifies a folder of raw files: their names, sizes and times of change."""
    source = store(url)
    digest = hashlib.sha256()
    for name, size in source.listing():
        changed = source.filesystem.get_file_info(source.path(name)).mtime_ns
        digest.update(f"{name}\0{size}\0{changed}\n".encode())
    return digest.hexdigest()


def run_stage(
    name: str,
    url: str,
    work: Callable[[Stage], Mapping[str, Any]],
    *,
    settings: Any,
    inputs: Mapping[str, str],
    fresh: bool = False,
) -> dict[str, Any]:
    """Run `work` unless the same was done before; returns the stage's record.

    Args:
        name: of the stage, for people.
        url: the folder that the stage owns.
        work: does the stage and returns what to record; it may be called again after a kill and
            must then go on from what is whole.
        settings: a dataclass; every field counts.
        inputs: fingerprints by name.
        fresh: start over even if it was done.

    Raises:
        StageError: the folder holds something else, or was written by another format version.
    """
    url = absolute(url)
    identity = {
        "format_version": FORMAT_VERSION,
        "stage": name.rstrip("-0123456789"),
        "settings": to_json(settings),
        "inputs": dict(inputs),
        "code": code_version(work.__module__),
    }
    fingerprint = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    stage = Stage(name=name, url=url, fingerprint=fingerprint)
    folder = stage.store
    done, plan = _read(folder, DONE), _read(folder, PLAN)
    if done and not fresh and done["fingerprint"] == fingerprint and _whole(folder, done):
        log.info("%-14s unchanged, kept %s", name, url)
        return done
    if fresh or plan is None or plan["fingerprint"] != fingerprint:
        _start_over(folder, url, plan or done)
        folder.write(PLAN, json.dumps({**identity, "fingerprint": fingerprint}, indent=1).encode())
    else:
        folder.delete(DONE)
        log.info("%-14s continues in %s", name, url)
    begun, started = time.time(), time.monotonic()
    result = dict(work(stage))
    seconds = round(time.monotonic() - started, 1)
    _sweep(folder, begun)
    files = {n: size for n, size in folder.listing() if n not in (PLAN, DONE)}
    record = {**identity, "fingerprint": fingerprint, "seconds": seconds, "result": result}
    folder.write(DONE, json.dumps({**record, "files": files}, indent=1).encode())
    log.info("%-14s done in %.1f s: %s", name, seconds, _brief(result))
    return {**record, "files": files}


def _read(folder: Store, name: str) -> dict[str, Any] | None:
    if folder.size(name) is None:
        return None
    path = folder.path(name)
    try:
        record = json.loads(folder.read(name))
        version = record["format_version"]
        _ = record["fingerprint"]
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{path}: not a stage's record ({error!r}); remove the folder") from error
    if version != FORMAT_VERSION:
        raise StageError(
            f"{path}: format version {version}, expected {FORMAT_VERSION}; "
            "use another run directory, or the version of pmam that wrote it"
        )
    return dict(record)


def _whole(folder: Store, done: Mapping[str, Any]) -> bool:
    present = dict(folder.listing())
    missing = [n for n, size in done["files"].items() if present.get(n) != size]
    if missing:
        log.warning("%s: %s is missing or of another size; done again", folder.root, missing[0])
    return not missing


def _start_over(folder: Store, url: str, known: Mapping[str, Any] | None) -> None:
    if known is None and folder.names():
        raise StageError(
            f"{url}: is not empty and no stage of pmam wrote it; give an empty or new folder"
        )
    # A kill in between must leave a folder that is still known as a stage's: the plan goes last.
    folder.delete(DONE)
    for name in folder.names():
        if name != PLAN:
            folder.delete(name)
    folder.clear()


def _sweep(folder: Store, begun: float) -> None:
    """Remove what writers left that were killed before this stage began.

    At its end: a writer that outlived its killed driver has had the whole stage to finish. It
    fails where it has not, and nobody waits for it. What others began to write since stays.
    """
    if not folder.is_local:  # an object appears whole, or not at all
        return
    for left in Path(folder.root).rglob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < begun:
                left.unlink()


def _brief(result: Mapping[str, Any]) -> str:
    plain = {k: v for k, v in result.items() if isinstance(v, int | float | str)}
    return ", ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in plain.items()
    )
