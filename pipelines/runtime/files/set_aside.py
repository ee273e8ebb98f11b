"""Keeping what is to be done again: a stage's folder gets another name, and nothing is deleted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.runtime.files.urls import store
from shards.io.atomic import TEMPORARY

if TYPE_CHECKING:
    from shards.io.store import Store

ASIDE = ".set-aside-"
COPIERS = 16  # requests at a time


def set_aside(url: str, last: str) -> str:
    """Move a stage's folder to `<folder>.set-aside-<number>` beside it; returns that URL.

    On a disk it is renamed. An object store has no rename: there all is copied, then deleted. It
    may be killed at any moment and be called again: a half copy of the same folder is completed.

    Args:
        url: the folder.
        last: the file that tells this folder's content from any other's: copied and deleted last.
    """
    folder, number = store(url), 1
    while True:
        aside = f"{url.rstrip('/')}{ASIDE}{number}"
        target = store(aside)
        if not _holds_anything(target) or _goes_on(folder, target, last):
            break
        number += 1
    if folder.is_local:
        Path(folder.root).rename(target.root)
    else:
        _move(folder, target, last)
    return aside


def sweep(folder: "Store", name: str) -> None:
    """Remove what writers of a file left that were killed; only when none is at work."""
    if folder.is_local:  # an object appears whole, or not at all
        for left in Path(folder.root).glob(f"{TEMPORARY}*-{name}"):
            left.unlink(missing_ok=True)


def _holds_anything(folder: "Store") -> bool:
    if folder.is_local:
        return Path(folder.root).exists()
    return bool(folder.names())


def _goes_on(folder: "Store", target: "Store", last: str) -> bool:
    """Whether a move from here to there was broken off."""
    if folder.is_local:
        return False
    if target.size(last) is not None:
        return folder.size(last) is None or target.read(last) == folder.read(last)
    # Copying was not finished: then all that is there is here too.
    here = dict(folder.listing())
    return all(here.get(name) == size for name, size in target.listing())


def _move(folder: "Store", target: "Store", last: str) -> None:
    names = [name for name in folder.names() if name != last]

    def copy(name: str) -> None:
        source, final = folder.path(name), target.path(name)
        folder.attempt(source, lambda: folder.filesystem.copy_file(source, final))

    with ThreadPoolExecutor(COPIERS) as pool:
        list(pool.map(copy, names))
        if folder.size(last) is not None:
            copy(last)
        list(pool.map(folder.delete, names))
    folder.delete(last)
