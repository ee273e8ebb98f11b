"""Folders of stages and runs: emptied, removed where nothing was done, swept of killed writes."""

import contextlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from shards.io.atomic import TEMPORARY

if TYPE_CHECKING:
    from shards.io.store import Store


def delete_all(folder: "Store", last: str) -> None:
    """Empty a folder; a kill in between leaves the file by which it is known as ours."""
    for name in folder.names():
        if name != last:
            folder.delete(name)
    folder.clear()


def absent_folders(folder: "Store") -> list[Path]:
    """The folders, from the stage's own upwards, that are not there yet."""
    if not folder.is_local:  # an object store has none
        return []
    root = Path(folder.root)
    return [path for path in (root, *root.parents) if not path.exists()]


def leave_nothing(folder: "Store", absent: list[Path]) -> None:
    """Remove a folder in which nothing was done, and those that were made for it."""
    folder.clear()
    remove_empty(absent)


def remove_files(folder: "Store", names: Iterable[str]) -> None:
    """Remove files, and the folders on a local disk that they leave empty."""
    for name in names:
        folder.delete(name)
        if folder.is_local:
            within = Path(folder.root)
            remove_empty([within / each for each in list(PurePosixPath(name).parents)[:-1]])


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, the innermost first, until one holds something."""
    with contextlib.suppress(OSError):
        for path in folders:
            path.rmdir()


def sweep_temporary(folder: "Store", begun: float) -> None:
    """Remove what writers left that were killed before this stage began.

    At its end: a writer that outlived its killed driver has had the whole stage to finish. It
    fails where it has not, and nobody waits for it. What others began to write since stays.
    """
    if not folder.is_local:  # an object appears whole, or not at all
        return
    for left in Path(folder.root).rglob(f"{TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):
            if left.stat().st_mtime < begun:
                left.unlink()
