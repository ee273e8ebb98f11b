"""Which nodes of a cluster take part in a command, and what every process of it must run."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cluster.node_code import Checked, OtherCodeError, Report, check_here
from pipelines.runtime.files.room import NoRoomError, on_node

MODULES = ("pmam", "shards", "cluster", "pipelines")
# What decides numbers and bytes, or whether tensors and tables travel.
PACKAGES = (
    "miniaudio",
    "numpy",
    "pyarrow",
    "ray",
    "safetensors",
    "scipy",
    "soundfile",
    "soxr",
    "torch",
    "torchaudio",
)
NODE = "ray.io/node-id"  # a label that Ray gives each node
OTHER_CODE, NO_ROOM = "other code", "no room"  # columns of answers that are none
_found = Checked()


@contextlib.contextmanager
def taking_part(checked: Checked) -> Iterator[None]:
    """Inside the block, work goes to the nodes that passed the check."""
    global _found
    before, _found = _found, checked
    try:
        yield
    finally:
        _found = before


def selector() -> dict[str, str] | None:
    """Ray's label selector of the nodes that take part; None: all of them."""
    if not _found.left_out:
        return None
    return {NODE: f"!in({','.join(_found.left_out)})"}


def left_out() -> tuple[str, ...]:
    """Ids of the nodes that take no part."""
    return _found.left_out


def expected() -> Report | None:
    """What every process must run; None where there is one machine."""
    return _found.expected


def check_process(expected: Report | None) -> None:
    """Called in a worker before it does anything: its node may have joined after the check.

    Raises:
        OtherCodeError: it runs something else.
    """
    if expected is not None:
        check_here(expected, MODULES, PACKAGES)


class Guarded:
    """A worker that is built where the node runs what the driver runs, and has room on its disks.

    Elsewhere it answers with the reason instead of raising it: of an error that passes Ray Data
    the text alone arrives, and not its kind.
    """

    def __init__(
        self, make: Callable[..., Any], arguments: Mapping[str, Any], expected: Report | None
    ) -> None:
        self.make, self.arguments, self.expected = make, arguments, expected
        self.worker: Any = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the worker makes of a row."""
        if self.worker is None:
            try:
                check_process(self.expected)
            except OtherCodeError as error:
                return {OTHER_CODE: str(error)}
            self.worker = self.make(**self.arguments)
        try:
            found: dict[str, Any] = self.worker(row)
        except Exception as error:
            if (full := on_node(error)) is None:
                raise
            return {NO_ROOM: str(full)}
        return found


def answer(row: dict[str, Any]) -> dict[str, Any]:
    """What a guarded worker made of a row.

    Raises:
        OtherCodeError: its node runs something else.
        NoRoomError: a disk of its node is full.
    """
    if OTHER_CODE in row:
        raise OtherCodeError(row[OTHER_CODE])
    if NO_ROOM in row:
        raise NoRoomError(row[NO_ROOM])
    return row
