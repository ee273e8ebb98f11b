"""Progress on the error stream: a bar on a terminal, elsewhere a line now and then.

Standard output carries results alone.
"""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator

from pipelines.runtime.words import duration, thousands

LINE_EVERY_S = 30.0
log = logging.getLogger("pmam")
Advance = Callable[[int, str], None]


@contextlib.contextmanager
def bar(what: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Progress; call what is yielded with how much more is done and a word on it.

    Without a terminal, a line every `LINE_EVERY_S` tells it: in the log of a job, or in a file.
    """
    shown = _drawn if sys.stderr.isatty() else _told
    with shown(what, total, done) as advance:
        yield advance


@contextlib.contextmanager
def _drawn(what: str, total: int, done: int) -> Iterator[Advance]:
    from rich.console import Console  # a fifth of a second, for a terminal alone
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(
        *columns,
        # What is said meanwhile goes above the bar.
        console=Console(stderr=True, highlight=False, soft_wrap=True),
        transient=True,
        # Results that are piped somewhere must not go through the bar's console.
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task(what, total=total, completed=done, note="")

        def advance(more: int, note: str = "") -> None:
            progress.update(task, advance=more, note=note)

        yield advance


@contextlib.contextmanager
def _told(what: str, total: int, done: int) -> Iterator[Advance]:
    at, word, ended, began = done, "", threading.Event(), time.monotonic()

    def tell() -> None:
        while not ended.wait(LINE_EVERY_S):
            log.info(
                "%s", progress_line(what, at, total, at - done, time.monotonic() - began, word)
            )

    def advance(more: int, note: str = "") -> None:
        nonlocal at, word
        at, word = at + more, note

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield advance
    finally:
        ended.set()
        thread.join()


def progress_line(
    what: str, done: int, total: int, since: int, seconds: float, note: str = ""
) -> str:
    """Progress in words: stage, done of how many, rate, what is left.

    Args:
        what: is done; in brackets, in what unit.
        done: so far.
        total: to do in all.
        since: so much of it in this process.
        seconds: that this took.
        note: a word on it.
    """
    name, _, unit = what.partition(" (")
    counted = " ".join(filter(None, [f"{thousands(done)}/{thousands(total)}", unit.rstrip(")")]))
    parts = [f"{name:<14} {counted}"]
    if since > 0 and seconds > 0:
        rate = since / seconds
        parts.append(f"{rate:.3g} a second" if rate >= 0.1 else f"{60 * rate:.3g} a minute")
        parts.append(f"{duration((total - done) / rate)} left")
    else:
        parts.append(f"none yet in {duration(seconds)}")
    return ", ".join(filter(None, [*parts, note]))
