"""Progress on the terminal's error stream; standard output carries results alone."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False)


class _ConsoleHandler(logging.Handler):
    """One record, one line, above a progress bar where one is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        console.print(self.format(record), markup=False, soft_wrap=True)


def set_up_logging() -> None:
    """Our own lines on the error stream; those of libraries from warnings on."""
    handler = _ConsoleHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("pmam").setLevel(logging.INFO)


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
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
        # Results that are piped somewhere must not go through the bar's console.
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task(what, total=total, completed=done, note="")

        def advance(more: int, note: str = "") -> None:
            progress.update(task, advance=more, note=note)

        yield advance


def show_error(message: str) -> None:
    """One line on the error stream."""
    console.print(f"pmam: error: {message}", markup=False, soft_wrap=True)
