"""How far remote workers are, and what they say: told through files of the stage's folder.

Their own error streams go nowhere. The first worker writes; the driver shows bars and logs.
"""

import contextlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from pipelines.runtime.workers.progress import bar
from shards.io.store import Store

PROGRESS = "progress.json"
MESSAGES = "messages"  # one file for each checkpoint
EVERY_S, ASKED_EVERY_S = 1.0, 10.0
log = logging.getLogger("pmam")

# How much more is done, and a word on it.
Advance = Callable[[int, str], None]
# Of a phase of work: its title, how much there is to do, and how much of it is done already.
Phase = Callable[[str, int, int], AbstractContextManager[Advance]]


class Reported:
    """A phase of work, told of in a file of the folder once a second."""

    def __init__(self, folder: Store) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def __call__(self, title: str, total: int, done: int) -> Iterator[Advance]:
        """As `pipelines.runtime.workers.progress.bar`."""
        state = {"title": title, "total": total, "done": done, "note": ""}

        def advance(more: int, note: str) -> None:
            nonlocal state
            state = {**state, "done": int(str(state["done"])) + more, "note": note}

        with _repeated(_Writing(self.folder, lambda: state)):
            yield advance


@contextlib.contextmanager
def silent(title: str, total: int, done: int) -> Iterator[Advance]:
    """For all workers but the first."""
    yield lambda more, note: None


class Messages(logging.Handler):
    """Holds what is logged as `pmam` until it is written beside a checkpoint."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the logger."""
        self.records.append(record)

    def write(self, folder: Store, step: int) -> None:
        """Put what is held into the stage's folder; nothing where nothing was said."""
        rows = [{"level": r.levelno, "text": r.getMessage()} for r in self.records]
        self.records.clear()
        if rows:
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            folder.write(f"{MESSAGES}/{step:08d}.jsonl", lines.encode())


@contextlib.contextmanager
def held(messages: Messages) -> Iterator[None]:
    """Hold what this process logs as `pmam`."""
    before = log.level
    log.addHandler(messages)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(messages)
        log.setLevel(before)


@contextlib.contextmanager
def watching(
    folder: Store,
    kept: Callable[[], int] = lambda: 0,
    before: tuple[str, int] | None = None,
) -> Iterator[None]:
    """Show what the first worker reports to the folder, until the block ends.

    Args:
        folder: of the stage.
        kept: the step of the newest checkpoint: what was logged on the way to it is told, once.
            0 of work that keeps none.
        before: title and total of what is shown until it reports: workers take a while to start.
    """
    folder.delete(PROGRESS)
    try:
        with _Shown(folder, kept, before) as shown:
            with _repeated(shown.look):
                yield
            shown.tell()
    finally:
        folder.delete(PROGRESS)


def asked(folder: Store) -> AbstractContextManager[None]:
    """Ask the store something now and then, while others work with it.

    What they wait for, they cannot say: this process then waits for it, too, and says so.
    """
    if folder.is_local:
        return contextlib.nullcontext()
    return _repeated(lambda: _ask(folder), ASKED_EVERY_S)


def _ask(folder: Store) -> None:
    folder.size(PROGRESS)


@contextlib.contextmanager
def _repeated(action: Callable[[], None], every_s: float = EVERY_S) -> Iterator[None]:
    """Do it again and again beside the block; a store that does not answer now stops nothing."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(every_s):
            with contextlib.suppress(OSError):
                action()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Writing:
    """Writes what changed."""

    def __init__(self, folder: Store, state: Callable[[], dict[str, Any]]) -> None:
        self.folder, self.state = folder, state
        self.written: dict[str, Any] = {}

    def __call__(self) -> None:
        state = self.state()
        if state != self.written:
            self.folder.write(PROGRESS, json.dumps(state).encode())
            self.written = state


class _Shown:
    """What a driver shows: one bar at a time, and messages."""

    def __init__(
        self, folder: Store, kept: Callable[[], int], before: tuple[str, int] | None
    ) -> None:
        self.folder, self.kept = folder, kept
        self.told = kept()  # what was said before is known
        self.title, self.seen = "", 0
        self.advance: Advance = lambda more, note: None
        self.bars = contextlib.ExitStack()
        if before is not None:
            self.bars.enter_context(bar(*before, 0))

    def __enter__(self) -> "_Shown":
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.close()

    def look(self) -> None:
        self.tell()
        state = json.loads(self.folder.read(PROGRESS))
        if state["title"] != self.title:
            self.bars.close()
            self.title, self.seen = state["title"], state["done"]
            self.advance = self.bars.enter_context(bar(self.title, state["total"], self.seen))
        self.advance(state["done"] - self.seen, state["note"])
        self.seen = state["done"]

    def tell(self) -> None:
        """Log what workers said on the way to the newest checkpoint."""
        step = self.kept()
        if step <= self.told:
            return
        for name in self.folder.names(MESSAGES):
            if self.told < int(name.rpartition("/")[2].partition(".")[0]) <= step:
                for line in self.folder.read(name).splitlines():
                    row = json.loads(line)
                    log.log(row["level"], "%s", row["text"])
        self.told = step
