"""How long a server is asked again: one rule for all reads and writes, and for downloads."""

import os
import random
import time
from collections.abc import Iterator

from shards.errors import SettingsError

SETTING = "PMAM_RETRY_S"  # environment: seconds from the first failure of a request to giving up
DEFAULT_S = 120.0
FIRST_S, LONGEST_S = 0.25, 20.0  # waits grow from one to the other


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
