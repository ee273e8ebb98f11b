"""Worker groups of Ray Train: what a worker refused, and workers that died."""

import logging
from collections.abc import Callable

from pmam.training import TrainingError

RESTARTS = 2  # of a worker group, where one of its workers died
log = logging.getLogger("pmam")


def restarted(fit: Callable[[], None]) -> None:
    """Run a worker group; start it anew where a worker died.

    Not Train's own restarts: they repeat what failed for its input, which fails again.

    Raises:
        ValueError, OSError, TrainingError: what a worker refused.
        WorkerGroupError: workers died, again and again.
    """
    from ray.train import WorkerGroupError

    for attempt in range(RESTARTS + 1):
        try:
            return fit()
        except WorkerGroupError as error:
            for failure in error.worker_failures.values():
                if isinstance(failure, ValueError | OSError | TrainingError):
                    raise failure from error
            if attempt == RESTARTS:
                raise
            log.warning("%s; the workers are started again", " ".join(str(error).split())[:200])
