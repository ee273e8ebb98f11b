"""Worker groups of Ray Train: what a worker refused, and workers that died."""

import logging
from collections.abc import Callable, Mapping

from pipelines.runtime.errors import USER_ERRORS, PipelineError

RESTARTS = 2  # of a worker group, where one of its workers died
log = logging.getLogger("pmam")


class WorkersDiedError(PipelineError, ChildProcessError):
    """Processes that ended, again and again; the message is one line."""


def restarted(fit: Callable[[], None]) -> None:
    """Run a worker group; start it anew where a worker died.

    Not Train's own restarts: they repeat what failed for its input, which fails again.

    Raises:
        an error that a person can act on: what a worker refused.
        WorkersDiedError: workers died, again and again.
        WorkerGroupError: workers failed in another way.
    """
    from ray.train import WorkerGroupError

    for attempt in range(RESTARTS + 1):
        try:
            return fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                # Memory that ran out may be there for the next group.
                if isinstance(failure, USER_ERRORS) and not isinstance(failure, MemoryError):
                    raise failure from error
            if attempt == RESTARTS:
                if (told := _told(error.worker_failures)) is not None:
                    raise told from error
                raise
            log.warning("%s; the workers are started again", " ".join(str(error).split())[:200])


def _told(failures: Mapping[int, Exception]) -> WorkersDiedError | None:
    """What to say of workers that died; None where none did."""
    for rank, failure in failures.items():
        lines = str(failure).splitlines()
        if _died(failure):
            return WorkersDiedError(
                f"workers died {RESTARTS + 1} times, the last of worker {rank}: "
                f"{lines[0] if lines else type(failure).__name__}; what they finished is kept, and "
                "the same command goes on from it; where memory ran out, give it more machines or "
                "fewer workers on each"
            )
    return None


def _died(failure: Exception) -> bool:
    """Whether a process, or its memory, ended: what Ray says of one, and what allocators say."""
    return (
        type(failure).__module__.startswith("ray.")
        or isinstance(failure, MemoryError)
        or (isinstance(failure, RuntimeError) and "memory" in str(failure))
    )
