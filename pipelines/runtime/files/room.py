"""Which folder has no room left, where a library's error does not say."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from pipelines.runtime.errors import PipelineError, is_full
from shards.errors import ShardsError, explained

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
LITTLE_BYTES = 64 << 20  # below it a disk counts as full: what failed may have been as large


class NoRoomError(PipelineError, OSError):
    """A disk of a node that is full; the message is one line, with the node and the folder."""


def on_node(error: BaseException) -> NoRoomError | None:
    """Called in a worker: an error of this node's full disk, named; None where it is another.

    Which of many nodes it is, only the worker knows; and whether its disk is full.
    """
    seen: BaseException | None = error
    while seen is not None and not is_full(seen):
        seen = seen.__cause__
    if seen is None:
        return None
    import ray.util

    told = error if isinstance(error, ShardsError) else seen
    return NoRoomError(f"node {ray.util.get_node_ip_address()}: {named_room(told, ())}")


def named_room(error: BaseException, arguments: Iterable[str]) -> str:
    """An error's message in one line; of a full disk also the folder, and what to do.

    Args:
        error: any.
        arguments: of the command; those that are local paths may be on the full disk.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, ShardsError) or not isinstance(error, OSError):
        return text
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{text}; allow more open files (ulimit -n), or give fewer workers"
    if error.errno not in NO_ROOM:
        return text
    if error.filename is not None:
        return str(explained(os.fsdecode(error.filename), error))
    reason = error.strerror or text
    if full := _full_folders(arguments):
        return f"{', '.join(full)}: {reason}; free some space there, or choose another folder"
    return (
        f"{reason}; free some space where the output goes and in {tempfile.gettempdir()} (TMPDIR "
        "names another folder for temporary files)"
    )


def _full_folders(arguments: Iterable[str]) -> list[str]:
    """The output's, temporary and current folders that have next to no room, with what is left."""
    values = [part for argument in arguments for part in (argument, argument.partition("=")[2])]
    paths = [Path(value).absolute() for value in values if value and "://" not in value]
    found: dict[int, str] = {}  # one folder for each disk
    for path in [*paths, Path(tempfile.gettempdir()), Path.cwd()]:
        there = next((one for one in (path, *path.parents) if one.is_dir()), None)
        if there is None:
            continue
        free = shutil.disk_usage(there).free
        if free < LITTLE_BYTES:
            found.setdefault(there.stat().st_dev, f"{there} ({free / 1e6:.1f} MB free)")
    return list(found.values())
