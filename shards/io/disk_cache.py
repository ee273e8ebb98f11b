"""Clips kept on a local disk, up to a size limit, for any number of processes at once."""

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from shards.errors import SettingsError, naming
from shards.io.atomic import TEMPORARY, write_whole

LOCK, TOTAL = "lock", "bytes"
KEEP = 0.8  # of the limit, when the oldest clips have to go
_log = logging.getLogger(__name__)


class ClipCache:
    """Audio files of clips under their checksums, so that datasets share them.

    A file appears by rename, and is compared with its name whenever it is read: what a crash or
    a bad disk left is read from the dataset again. All changes are made under one lock file. The
    sum of sizes is written down before a clip is: a process that is killed in between leaves it
    too high, and the next sweep counts anew. So the limit holds at any moment. The clips that
    were not read for the longest time go first.

    A cache that cannot be written (a full disk) is reported once, and reading goes on without.

    Args:
        folder: its own; nothing else may be in it.
        limit_bytes: of all clips together.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        if limit_bytes <= 0:
            raise SettingsError(f"cache: got a limit of {limit_bytes} bytes; expected more than 0")
        self.folder, self.limit_bytes = folder, limit_bytes
        self._writable = True
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, checksum: str) -> bool:
        return self._path(checksum).exists()

    def get(self, checksum: str) -> bytes | None:
        """A clip's bytes, or None where they are not here or not whole."""
        path = self._path(checksum)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != checksum:
            _log.warning("%s: damaged in the cache; it is read from the dataset again", path)
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # another process may have removed it meanwhile
            os.utime(path)
        return data

    def put(self, checksum: str, data: bytes | memoryview) -> None:
        """Keep a clip whose bytes have this checksum; one larger than the limit is not kept."""
        path = self._path(checksum)
        if not self._writable or len(data) > self.limit_bytes:
            return
        try:
            with self._locked():
                if path.exists():
                    return
                if (total := self._total() + len(data)) > self.limit_bytes:
                    total = self._sweep(len(data)) + len(data)
                (self.folder / TOTAL).write_text(str(total))
                # What a crash leaves is found out when it is read.
                write_whole(path, lambda new: new.write_bytes(data), durable=False)
        except OSError as error:
            self._writable = False
            _log.warning(
                "%s: the cache cannot be written (%s); reading goes on without it: free some "
                "space there, or choose another folder",
                self.folder,
                error.strerror or error,
            )

    def _path(self, checksum: str) -> Path:
        return self.folder / checksum[:2] / checksum

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / LOCK).open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file closes, by a kill too
            yield

    def _total(self) -> int:
        try:
            return int((self.folder / TOTAL).read_text())
        except (OSError, ValueError):  # a new cache, or one that a crash left
            return self._sweep(0)

    def _sweep(self, room_bytes: int) -> int:
        """Count all clips, and remove the oldest until there is room; what killed writers left
        too: none writes while the lock is held."""
        for left in self.folder.rglob(f"{TEMPORARY}*"):
            left.unlink(missing_ok=True)
        found = []
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime_ns, state.st_size, path))
        total = sum(size for _, size, _ in found)
        if total + room_bytes <= self.limit_bytes:
            return total
        allowed = min(int(self.limit_bytes * KEEP), self.limit_bytes - room_bytes)
        for _, size, path in sorted(found):
            if total <= allowed:
                break
            path.unlink(missing_ok=True)
            total -= size
        return total
