"""Plain lines: results on standard output, all else on the error stream."""

import logging
import sys

from cluster.storage.urls import absolute

SHOWN = 10  # of long lists, on the terminal


def print_line(line: str) -> None:
    """One line of a result, as it is."""
    sys.stdout.write(f"{line}\n")


def print_result(url: str) -> None:
    """Where a stage's artifact is."""
    print_line(absolute(url))


def show_line(line: str) -> None:
    """One line on the error stream; above a progress bar, which stands in for it while drawn."""
    sys.stderr.write(f"{line}\n")


def show_error(message: str) -> None:
    """What a command ends with that cannot go on."""
    show_line(f"pmam: error: {message}")


class _Handler(logging.Handler):
    """One record, one line, on what is the error stream then."""

    def emit(self, record: logging.LogRecord) -> None:
        show_line(self.format(record))


def set_up_logging() -> None:
    """Our own lines on the error stream; those of libraries from warnings on."""
    handler = _Handler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("pmam").setLevel(logging.INFO)
