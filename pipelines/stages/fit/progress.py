"""How far a fit is: a bar, or a small file that a remote worker writes and the driver shows."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator

from pipelines.runtime.progress import bar
from pipelines.stages.fit.frame_partition import Advance
from shards.io.store import Store

PROGRESS = "progress.json"
EVERY_S = 1.0


class Reported:
    """A phase of work, told of in a file of the folder now and then."""

    def __init__(self, folder: Store) -> None:
        self.folder = folder
        self.next_s = 0.0

    @contextlib.contextmanager
    def __call__(self, title: str, total: int, done: int) -> Iterator[Advance]:
        """As `pipelines.runtime.progress.bar`."""
        state = {"title": title, "total": total, "done": done, "note": ""}

        def advance(more: int, note: str) -> None:
            state.update(done=int(str(state["done"])) + more, note=note)
            if time.monotonic() >= self.next_s:
                self.folder.write(PROGRESS, json.dumps(state).encode())
                self.next_s = time.monotonic() + EVERY_S

        yield advance


@contextlib.contextmanager
def silent(title: str, total: int, done: int) -> Iterator[Advance]:
    """For all workers but the first."""
    yield lambda more, note: None


@contextlib.contextmanager
def watching(folder: Store) -> Iterator[None]:
    """Show what a worker reports to the folder, until the block ends."""
    folder.delete(PROGRESS)
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(folder, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        folder.delete(PROGRESS)


def _watch(folder: Store, ended: threading.Event) -> None:
    title = ""
    with contextlib.ExitStack() as bars:
        while not ended.wait(EVERY_S):
            try:
                state = json.loads(folder.read(PROGRESS))
            except OSError:  # not there yet, or a store that does not answer now
                continue
            if state["title"] != title:
                bars.close()
                title, seen = state["title"], state["done"]
                advance = bars.enter_context(bar(title, state["total"], seen))
            advance(state["done"] - seen, state["note"])
            seen = state["done"]
