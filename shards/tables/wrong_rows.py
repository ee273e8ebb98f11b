"""All that is wrong with a table told in one go, not one row a run."""

import contextlib
import math
import re
from collections.abc import Iterator

from shards.errors import SourceError, told


class WrongRows:
    """Collects the errors of single rows of one table; `check` raises them as one.

    `path` is what errors call the table; where a collected message starts with it, it is told
    once for all.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.messages: list[str] = []

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """A `SourceError` in the block is kept for `check`."""
        try:
            yield
        except SourceError as error:
            self.messages.append(str(error))

    def check(self) -> None:
        """Raise what was collected, if anything, as one `SourceError`."""
        if len(self.messages) == 1:
            raise SourceError(self.messages[0])
        if self.messages:
            short = [message.removeprefix(self.path).lstrip(": ") for message in self.messages]
            short.sort(key=_row)
            raise SourceError(f"{self.path}: {len(short)} rows are wrong: {told(short)}")


def _row(message: str) -> float:
    """The row that a message begins with; infinite of one that names none."""
    found = re.match(r"(?:row|line) (\d+)", message)
    return float(found[1]) if found else math.inf
