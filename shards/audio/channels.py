"""From channels to mono: which one is taken, and whether their mean says less than they do.

Two channels of opposite phase (a plug that is wired wrong, a balanced signal recorded as stereo)
average to silence: that is told, and another choice is offered.
"""

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from shards.audio.errors import AudioError

Floats = npt.NDArray[np.float32]
# What becomes mono: the mean of all channels, one by its place, or the one with the most energy.
Channel = Literal["mean", "left", "right", "loudest"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
FAR_BELOW_DB = 20.0  # of the mean under the loudest channel, beyond which something is cancelled
QUIET = 1e-10  # mean square of what counts as silence: -100 dBFS


class ChannelMeter:
    """The energy of a recording's channels and of their mean, part by part."""

    def __init__(self) -> None:
        self.samples = 0
        self._channels: npt.NDArray[np.float64] = np.zeros(0)
        self._mean = 0.0

    def add(self, part: Floats) -> None:
        """Count a part `(samples, channels)`; nothing is counted of one channel."""
        if part.shape[1] < 2:
            return
        wide = part.astype(np.float64)
        self._channels = (
            self._channels + np.einsum("ij,ij->j", wide, wide)
            if self.samples
            else (np.einsum("ij,ij->j", wide, wide))
        )
        mean = wide.mean(axis=1)
        self._mean += float(mean @ mean)
        self.samples += len(part)

    @property
    def loudest(self) -> int:
        """The place of the channel with the most energy, the first of equals; 0 of one channel."""
        return int(np.argmax(self._channels)) if len(self._channels) else 0

    @property
    def mean_below_db(self) -> float:
        """How far the mean lies below the loudest channel; 0 of one channel and of silence."""
        if not self.samples or (most := float(self._channels.max())) < QUIET * self.samples:
            return 0.0
        return float(10 * np.log10(most / max(self._mean, most * 1e-12)))

    def warning(self, name: str) -> str | None:
        """What to tell of a recording whose channels cancel each other; None where they do not."""
        if self.mean_below_db <= FAR_BELOW_DB:
            return None
        return (
            f"{name}: the mean of its {len(self._channels)} channels is "
            f"{self.mean_below_db:.0f} dB below the loudest one: they are of opposite "
            "phase, or most are silent; take one by --channel left, right or loudest"
        )


def place(channel: Channel, channels: int, name: str) -> int | None:
    """Which channel is taken, None for the mean; of one channel it is that one.

    Raises:
        AudioError: a choice that only the whole recording tells, or none that there is.
    """
    if channel not in CHANNELS or channel == "loudest":
        raise AudioError(f"{name}: channel {channel!r}; expected one of {', '.join(CHANNELS)}")
    if channel == "mean" or channels == 1:
        return None
    return 0 if channel == "left" else 1


def mono(part: Floats, taken: int | None) -> Floats:
    """A part `(samples, channels)` as `(samples,)`."""
    if part.shape[1] == 1:
        return part[:, 0]
    return part.mean(axis=1, dtype=np.float32) if taken is None else part[:, taken]
