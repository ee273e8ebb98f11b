"""What workers say of a training, told by the driver: their own error streams go nowhere."""

import contextlib
import json
import logging
from collections.abc import Iterator

from shards.io.store import Store

FOLDER = "messages"
log = logging.getLogger("pmam")


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
            folder.write(f"{FOLDER}/{step:08d}.jsonl", lines.encode())


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


def tell(folder: Store, after: int, until: int) -> None:
    """Log what workers said on the way from the checkpoint of one step to that of another."""
    for name in sorted(folder.names(FOLDER)):
        if after < int(name.rpartition("/")[2].partition(".")[0]) <= until:
            for line in folder.read(name).splitlines():
                row = json.loads(line)
                log.log(row["level"], "%s", row["text"])
