"""What counts as an error that a person can act on; anything else is a bug.

Each room below has a base of its own, since they never import each other. Here they meet.
"""

import errno

from cluster.errors import ClusterError
from pmam.errors import UserError
from shards.errors import ShardsError


class PipelineError(ValueError):
    """The base of this room: what was got, what was expected and what to do, in one line."""


class MissingFileError(PipelineError, FileNotFoundError):
    """A file that is not there."""


# A full memory is a thing that a person can act on, too.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)
USER_ERRORS = (UserError, ShardsError, ClusterError, PipelineError, MemoryError)


def user_error(error: BaseException) -> BaseException | None:
    """The error that a person can act on, out of what Ray wraps it in; None for a bug."""
    seen: BaseException | None = error
    for _ in range(12):
        if seen is None:
            return None
        wrapped = getattr(seen, "cause", None) or _first(getattr(seen, "worker_failures", None))
        if isinstance(wrapped, BaseException):
            seen = wrapped
        elif isinstance(seen, USER_ERRORS) or is_full(seen):
            return seen
        else:
            seen = seen.__cause__
    return None


def is_full(error: BaseException) -> bool:
    """Whether the machine has no room left; that may come up wherever a library writes."""
    return isinstance(error, OSError) and error.errno in FULL


def _first(failures: dict[int, BaseException] | None) -> BaseException | None:
    return next(iter(failures.values()), None) if failures else None
