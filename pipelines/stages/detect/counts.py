"""How many events of each class there are in an hour."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.stages.detect.results import FileEvents
from shards.annotations.delimited import line

COLUMNS = ("event_label", "events", "hours", "per_hour", "low_95", "high_95")


class Counts:
    """Events and hours so far; each channel that is listened to has hours of its own."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.events: Counter[str] = Counter(dict.fromkeys(classes, 0))
        self.seconds = 0.0

    def add(self, found: FileEvents) -> None:
        """Count the events of one more file."""
        self.events.update(event.label for event in found.events)
        self.seconds += (found.duration_s or 0.0) * found.channels

    def text(self) -> bytes:
        """A CSV table, a row a class."""
        return "".join(self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield line(COLUMNS, ",")
        hours = self.seconds / 3600
        for label, count in sorted(self.events.items()):
            low, high = poisson_interval(count)
            rates = [f"{n / hours:.4f}" if hours else "" for n in (count, low, high)]
            yield line((label, str(count), f"{hours:.6f}", *rates), ",")


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a Poisson mean of which `count` were seen (Garwood 1936).

    It takes events as independent of each other; calls that come in bouts scatter more. Its ends
    are half of quantiles of chi-squared, which are those of gamma.
    """
    from scipy.special import gammaincinv  # where counts are asked for: it takes a while to load

    tail = (1 - confidence) / 2
    low = 0.0 if count == 0 else float(gammaincinv(count, tail))
    high = float(gammaincinv(count + 1, 1 - tail))
    return low, high if math.isfinite(high) else math.inf
