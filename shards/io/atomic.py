"""Files of the local disk that appear whole, or not at all."""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path

TEMPORARY = ".part-"  # the start of every name that is still being written


def write_whole(final: Path, fill: Callable[[Path], object], *, durable: bool = True) -> None:
    """Fill a file under a temporary name beside it, then give it its name.

    A failure leaves nothing; a kill leaves the temporary file, for whoever sweeps `TEMPORARY`.

    Args:
        final: replaced, where there is one; its folder is made.
        fill: called with the temporary name; makes that file.
        durable: see `give_name`.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:12]}-{final.name}")
    try:
        fill(temporary)
        give_name(temporary, final, durable=durable)
    finally:
        with contextlib.suppress(OSError):  # the failure above tells more
            temporary.unlink(missing_ok=True)


def give_name(file: Path, final: Path, *, durable: bool = True) -> None:
    """Move a file that is whole to its final name, on the same disk.

    Args:
        file: whole.
        final: replaced, where there is one.
        durable: whether its bytes are on the disk before the name is, so that a crash of the
            machine leaves no name without them. Costs some milliseconds.
    """
    if durable:
        with file.open("rb") as written:
            os.fsync(written.fileno())
    file.replace(final)
