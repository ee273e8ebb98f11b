"""How long a server is asked again: one rule for all reads and writes, and for downloads."""

import logging
import os
import random
import threading
import time
from collections.abc import Iterator

from shards.errors import SettingsError

SETTING = "PMAM_RETRY_S"  # environment: seconds from the first failure of a request to giving up
DEFAULT_S = 120.0
FIRST_S, LONGEST_S = 0.25, 20.0  # waits grow from one to the other

TOLD_AFTER_S, TOLD_EVERY_S = 5.0, 30.0  # a wait that somebody may wonder about
log = logging.getLogger("pmam")


class Told:
    """Says that a server is waited for: once in a while, of however many requests wait."""

    def __init__(self) -> None:
        self.last_s = -TOLD_EVERY_S
        self.lock = threading.Lock()

    def __call__(self, path: str, error: Exception, began_s: float) -> None:
        """A request has failed again.

        Args:
            path: what was asked for.
            error: that came last.
            began_s: when it failed first, on the clock `time.monotonic`.
        """
        now_s = time.monotonic()
        with self.lock:
            if now_s - began_s < TOLD_AFTER_S or now_s - self.last_s < TOLD_EVERY_S:
                return
            self.last_s = now_s
        reason = " ".join(str(error).split())[:200]
        log.warning(
            "%s: no answer for %.0f s (%s); waiting for the store, up to %g s in all (%s)",
            path,
            now_s - began_s,
            reason,
            limit_s(),
            SETTING,
        )


told = Told()


def waits() -> Iterator[float]:
    """Seconds to wait before each further try; ends when the time is over.

    Each is twice the one before, half to one and a half times: so many workers that were refused
    at once do not come back at once. The time counts from the first wait that is asked for.

    Raises:
        SettingsError: the environment's `PMAM_RETRY_S` is no number of seconds.
    """
    limit, start_s = limit_s(), time.monotonic()
    wait_s, waited_s = FIRST_S, 0.0
    while True:
        pause_s = wait_s * random.uniform(0.5, 1.5)
        if max(waited_s, time.monotonic() - start_s) + pause_s > limit:
            return
        yield pause_s
        waited_s += pause_s
        wait_s = min(2 * wait_s, LONGEST_S)


def limit_s() -> float:
    """The environment's `PMAM_RETRY_S`, or two minutes; 0 gives up at once."""
    text = os.environ.get(SETTING, "")
    try:
        limit = float(text or DEFAULT_S)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise SettingsError(f"{SETTING}={text}: expected a number of seconds, 0 or more")
    return limit
