"""Recordings of a lower rate than the encoder has learnt from: heard, but not as it knows them."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from pmam.encoders.base import FrameEncoder
from shards.index import Listed

log = logging.getLogger("pmam")


def low_rate(rate_hz: int) -> str:
    """What is the matter with recordings of this rate."""
    return (
        f"{rate_hz} Hz is less than the model has learnt from: it misses the upper part of what it "
        "listens to, and may find little; give it the originals"
    )


def low_rates(rows: Sequence[Listed], encoder: FrameEncoder) -> list[Listed]:
    """The clips whose recording has too low a rate for a pretrained encoder."""
    return [row for row in rows if encoder.lacking_rate_hz(row.sample_rate_hz) is not None]


# What was told in the command at work, where it says so but once.
_told: set[tuple[str, int]] | None = None


@contextlib.contextmanager
def noting_once() -> Iterator[None]:
    """Each rate is told once in here for each encoder, whatever number of stages meet it."""
    global _told
    before, _told = _told, set()
    try:
        yield
    finally:
        _told = before


def warn_of_low_rates(
    rates_hz: Sequence[int] | npt.NDArray[np.int64],
    encoder: FrameEncoder,
    source_id: Callable[[int], str],
) -> None:
    """Say so where there are any; whoever asks for the encoder anew is refused by `check_rates`.

    Args:
        rates_hz: of all clips that are used.
        encoder: what hears them.
        source_id: which recording the clip of this place in `rates_hz` is.
    """
    rates, first, counts = np.unique(rates_hz, return_index=True, return_counts=True)
    low = [encoder.lacking_rate_hz(int(rate)) is not None for rate in rates]
    if any(low):
        example = int(first[low].min())
        note = (encoder.settings.name, int(rates_hz[example]))
        if _told is not None:
            if note in _told:
                return
            _told.add(note)
        log.warning(
            "%d of %d clips, such as %s: %s",
            *(counts[low].sum(), len(rates_hz), source_id(example)),
            low_rate(int(rates_hz[example])),
        )
