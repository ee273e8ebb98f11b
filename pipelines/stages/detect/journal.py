"""What is done of a run over many files: killed at any moment, it goes on where it was.

A folder of results holds `detect-journal/`: `run.json` says with what they are made, and lines of
JSON say which files are done, one a file, written after the file's own results are whole. A line
that a kill cut is no line: its file is done again, with the same results. On a disk, lines are
added to one file; in an object store, which adds nothing to what is there, they go into numbered
objects, every few seconds.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from pipelines.runtime.errors import PipelineError
from shards.errors import naming
from shards.io.store import Store

FOLDER = "detect-journal"
RUN = f"{FOLDER}/run.json"
LINES = f"{FOLDER}/done.jsonl"
FLUSH_S = 5.0
FSYNC_S = 1.0


class JournalError(PipelineError):
    """Results in the way, or made with something else; the message is one line."""


class Journal:
    """The lines of one run; use it as a context manager, so that none is left unwritten.

    Args:
        store: the folder of the results.
        identity: what the run is made with, plain values by name.
        outputs: names that the run will write.
        overwrite: whether results of another run may be replaced.

    Raises:
        JournalError: the folder holds results that are not of this run.
    """

    def __init__(
        self, store: Store, identity: Mapping[str, Any], outputs: set[str], overwrite: bool
    ) -> None:
        self.store = store
        self._waiting: list[bytes] = []
        self._last_s = time.monotonic()
        self._file: BinaryIO | None = None
        there = store.names()
        same = RUN in there and _differences(json.loads(store.read(RUN)), identity) == []
        if not same:
            self._refuse(there, identity, outputs, overwrite)
            for name in there:
                if name.startswith(f"{FOLDER}/"):
                    store.delete(name)
            store.write(RUN, json.dumps(identity, indent=2, sort_keys=True).encode())
            there = []
        self._segments = sum(1 for name in there if name.startswith(LINES))
        self.done = {entry["file"]: entry for entry in self._read(there)}

    def _refuse(
        self, there: list[str], identity: Mapping[str, Any], outputs: set[str], overwrite: bool
    ) -> None:
        if overwrite:
            return
        if RUN in there:
            told = "; ".join(_differences(json.loads(self.store.read(RUN)), identity))
            raise JournalError(
                f"{self.store.root}: holds results of another run: {told}; give another folder, or "
                "--overwrite to replace them"
            )
        if taken := sorted(outputs & set(there)):
            raise JournalError(
                f"{self.store.root}: holds {taken[0]} already; give another folder, or --overwrite "
                "to replace it"
            )

    def _read(self, there: list[str]) -> Iterator[dict[str, Any]]:
        for name in there:
            if not name.startswith(LINES):
                continue
            data = self.store.read(name)
            whole = data[: data.rfind(b"\n") + 1]
            if self.store.is_local and len(whole) < len(data):
                os.truncate(self.store.path(name), len(whole))  # what a kill cut
            yield from (json.loads(line) for line in whole.splitlines())

    def add(self, entry: Mapping[str, Any]) -> None:
        """Say that a file is done; `entry` has its name under `file`."""
        self.done[entry["file"]] = dict(entry)
        line = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        if not self.store.is_local:
            self._waiting.append(line)
            if time.monotonic() - self._last_s > FLUSH_S:
                self._flush()
            return
        with naming(self.store.path(LINES)):
            if self._file is None:
                self._file = Path(self.store.path(LINES)).open("ab")  # noqa: SIM115  (until the end)
            self._file.write(line)
            self._file.flush()
            if time.monotonic() - self._last_s > FSYNC_S:
                os.fsync(self._file.fileno())
                self._last_s = time.monotonic()

    def _flush(self) -> None:
        if self._waiting:
            self.store.write(f"{LINES}-{self._segments:06d}", b"".join(self._waiting))
            self._segments += 1
            self._waiting = []
        self._last_s = time.monotonic()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush()
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs, old and new; of what has parts, the parts."""
    told = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told += [f"{name}.{each}" for each in _differences(old, new)]
        elif old != new:
            told.append(f"{name} was {json.dumps(old)}, now {json.dumps(new)}")
    return told
