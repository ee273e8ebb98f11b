"""Local files as memory, whose pages a process gives back when it has read them.

Mapped pages count as the process's own memory until the system wants them back, also where each is
read once: a process that reads 4 GB of them looks as if it held 4 GB.
"""

import mmap
from pathlib import Path


def mapped(path: str) -> mmap.mmap:
    """A file of one byte or more, to be read."""
    with Path(path).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def give_back(memory: mmap.mmap) -> None:
    """Let go of the pages of a file; views of it stay good, since it is read anew where needed."""
    if hasattr(mmap, "MADV_DONTNEED"):  # not on every system
        memory.madvise(mmap.MADV_DONTNEED)
