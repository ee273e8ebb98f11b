"""Processes of Ray Train on this machine, for tests that kill some."""

import contextlib
import os
from pathlib import Path


def own_workers() -> list[int]:
    """Those that descend from this process: of its session of Ray, and of no other."""
    parents, found = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(stat[1])
            if b"RayTrainWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))

    def ours(pid: int) -> bool:
        return pid == os.getpid() or (pid in parents and ours(parents[pid]))

    return [pid for pid in found if ours(pid)]
