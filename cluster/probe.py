"""Small files that tell whether two machines see the same place."""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cluster.storage.filesystems import filesystem

VISIBLE_S = 3.0  # network file systems show a new file late
POLL_S = 0.1
HEAD_BYTES = 1 << 16  # of an object that is read
REQUESTS = 16  # at a time


class Probe:
    """What one process writes to a place, and what it expects others to write there."""

    def __init__(self, url: str, name: str) -> None:
        self.url, self.name = url, name
        self.token = secrets.token_hex(16)
        self.names: set[str] = {name}  # of all files that may be there

    def of_node(self, node: str) -> tuple[str, str]:
        """Name and token of what a node writes."""
        name = f"{self.name}-{node}"
        self.names.add(name)
        return name, hashlib.sha256(f"{self.token}{node}".encode()).hexdigest()


@contextlib.contextmanager
def probing(url: str, name: str) -> Iterator[Probe]:
    """A token in a folder, which is made where it is not there; afterwards all is as it was.

    Args:
        url: absolute, of a folder.
        name: of the file.

    Raises:
        OSError: this process cannot write there.
    """
    probe = Probe(url, name)
    made: list[Path] = []
    try:
        if "://" not in url:
            _make(Path(url), made)
        write(url, name, probe.token)
        yield probe
    finally:
        each(lambda left: remove(url, left), sorted(probe.names))
        for folder in made:
            with contextlib.suppress(OSError):  # something is in it by now
                folder.rmdir()


def _make(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it; `made` gets what was not there, the innermost first."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            one.mkdir()
            made.insert(0, one)


def write(url: str, name: str, token: str) -> None:
    """A small file with a token."""
    source, path = _at(url, name)
    with source.open_output_stream(path) as stream:
        stream.write(token.encode())


def remove(url: str, name: str) -> None:
    """Remove a file; one that is not there, or no longer can be reached, is fine."""
    source, path = _at(url, name)
    with contextlib.suppress(OSError):
        source.delete_file(path)


def read_back(url: str, name: str, token: str) -> None:
    """See a file with this token.

    Raises:
        FileNotFoundError: it is not there, nor shows up in `VISIBLE_S`.
        OSError: it cannot be read.
    """

    def read() -> None:
        source, path = _at(url, name)
        with source.open_input_file(path) as file:
            if file.read() != token.encode():  # not whole yet
                raise FileNotFoundError(path)

    patiently(read)


def head(url: str) -> str:
    """What tells an object from others: its size and a hash of its first bytes."""
    source, path = filesystem(url)
    with source.open_input_file(path) as file:
        return f"{file.size()} {hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()}"


def patiently(action: Callable[[], Any]) -> Any:
    """Do it, again for `VISIBLE_S` where a file is not there yet."""
    until = time.monotonic() + VISIBLE_S
    while True:
        try:
            return action()
        except FileNotFoundError:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_S)


def each(function: Callable[[str], Any], items: Sequence[str]) -> list[Any]:
    """The function of each item, several at a time."""
    with ThreadPoolExecutor(REQUESTS) as pool:
        return list(pool.map(function, items))


def _at(url: str, name: str) -> tuple[Any, str]:
    source, path = filesystem(url)
    return source, f"{path.rstrip('/')}/{name}"
