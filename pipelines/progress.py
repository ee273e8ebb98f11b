"""Progress on the terminal's error stream; standard output carries results alone."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


def set_up_logging(verbose: bool = False) -> None:
    """Our own lines on the error stream; those of libraries from warnings on."""
    handler = RichHandler(console=console, show_path=False, show_level=verbose, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    logging.getLogger("pmam").setLevel(logging.DEBUG if verbose else logging.INFO)


@contextlib.contextmanager
def bar(what: str, total: int, done: int = 0) -> Iterator[Callable[[int, str], None]]:
    """A progress bar; call what is yielded with how much more is done and a word on it."""
    columns = (
        TextColumn("{task.description:<14}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    interactive = sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=not interactive) as progress:
        task = progress.add_task(what, total=total, completed=done, note="")

        def advance(more: int, note: str = "") -> None:
            progress.update(task, advance=more, note=note)

        yield advance


def show_error(message: str) -> None:
    """One line on the error stream."""
    console.print(f"pmam: error: {message}", markup=False, soft_wrap=True)
