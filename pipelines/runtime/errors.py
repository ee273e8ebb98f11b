"""What counts as an error that a person can act on; anything else is a bug.

Each room below has a base of its own, since they never import each other. Here they meet.
"""

from cluster.errors import ClusterError
from pmam.errors import UserError
from shards.errors import ShardsError


class PipelineError(ValueError):
    """The base of this room: what was got, what was expected and what to do, in one line."""


class MissingFileError(PipelineError, FileNotFoundError):
    """A file that is not there."""


# Until the rooms below raise nothing else for what a person can act on.
_NOT_YET = (ValueError, OSError)
# A full memory is a thing that a person can act on, too.
USER_ERRORS = (UserError, ShardsError, ClusterError, PipelineError, MemoryError, *_NOT_YET)


def user_error(error: BaseException) -> BaseException | None:
    """The error that a person can act on, out of what Ray wraps it in; None for a bug."""
    seen: BaseException | None = error
    for _ in range(12):
        if seen is None:
            return None
        wrapped = getattr(seen, "cause", None) or _first(getattr(seen, "worker_failures", None))
        if isinstance(wrapped, BaseException):
            seen = wrapped
        elif isinstance(seen, USER_ERRORS):
            return seen
        else:
            seen = seen.__cause__
    return None


def _first(failures: dict[int, BaseException] | None) -> BaseException | None:
    return next(iter(failures.values()), None) if failures else None
