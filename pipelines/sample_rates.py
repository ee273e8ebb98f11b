"""Recordings of a lower rate than the encoder has learnt from: heard, but not as it knows them."""

import logging
from collections.abc import Sequence

from pmam.encoders import FrameEncoder
from shards.index import IndexRow

log = logging.getLogger("pmam")


def low_rate(rate_hz: int) -> str:
    """What is the matter with recordings of this rate."""
    return (
        f"{rate_hz} Hz is less than the model has learnt from: it misses the upper part of what it "
        "listens to, and may find little; give it the originals"
    )


def low_rates(rows: Sequence[IndexRow], encoder: FrameEncoder) -> list[IndexRow]:
    """The clips whose recording has too low a rate for a pretrained encoder."""
    return [row for row in rows if encoder.lacking_rate_hz(row.sample_rate_hz) is not None]


def warn_of_low_rates(rows: Sequence[IndexRow], encoder: FrameEncoder) -> None:
    """Say so where there are any; whoever asks for the encoder anew is refused by `check_rates`."""
    if low := low_rates(rows, encoder):
        log.warning(
            "%d of %d clips, such as %s: %s",
            *(len(low), len(rows), low[0].source_id, low_rate(low[0].sample_rate_hz)),
        )
