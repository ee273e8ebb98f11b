"""From channels to mono: which one is taken, and whether their mean says less than they do.

Two channels of opposite phase (a plug that is wired wrong, a balanced signal recorded as stereo)
average to silence: that is told, and another choice is offered.
"""

from collections.abc import Iterable
from typing import get_args

import numpy as np
import numpy.typing as npt

from shards.audio.channel_choice import Channel, ChannelChoice
from shards.audio.errors import AudioError
from shards.errors import told

Floats = npt.NDArray[np.float32]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
FAR_BELOW_DB = 20.0  # of the mean under the loudest channel, beyond which something is cancelled
LOWEST_DB = 60.0  # what is further below is told as this: rounding alone
QUIET = 1e-10  # mean square of what counts as silence: -100 dBFS
QUIET_SECOND = 1e-8  # of one second: -80 dBFS, under which there is little but dither
SHOWN_SPANS = 5
CANCELLED = "they are of opposite phase, or most are silent"
OTHER_WAYS = "pack or detect with --channel left, right, loudest or each"


class ChannelMeter:
    """The energy of a recording's channels and of their mean, of all of it and of each second."""

    def __init__(self) -> None:
        self.samples = 0
        self.tracks = 1  # of sound in the file, one of which is read
        self._channels: npt.NDArray[np.float64] = np.zeros(0)
        self._mean = 0.0
        self._rate_hz = 1
        self._second: npt.NDArray[np.float64] = np.zeros((0, 0))  # products in the open second
        self._spans: list[tuple[int, int]] = []  # [from, to) in seconds that are cancelled

    def add(self, part: Floats, rate_hz: int) -> None:
        """Count a part `(samples, channels)` at a rate; nothing is counted of one channel."""
        if part.shape[1] < 2:
            return
        self._rate_hz = rate_hz
        done = 0
        while done < len(part):
            count = min(len(part) - done, rate_hz - self.samples % rate_hz)
            self._add_within(part[done : done + count])
            done += count

    def _add_within(self, part: Floats) -> None:
        """Count samples of one second."""
        products = (part.T @ part).astype(np.float64)  # (channels, channels)
        energy = np.diagonal(products)
        self._channels = self._channels + energy if self.samples else energy.copy()
        self._mean += float(products.sum()) / part.shape[1] ** 2
        is_new = self.samples % self._rate_hz == 0
        self._second = products if is_new else self._second + products
        self.samples += len(part)
        if self.samples % self._rate_hz == 0 and self._is_cancelled(self._rate_hz):
            second = self.samples // self._rate_hz - 1
            if self._spans and self._spans[-1][1] == second:
                self._spans[-1] = (self._spans[-1][0], second + 1)
            else:
                self._spans.append((second, second + 1))

    def _is_cancelled(self, count: int) -> bool:
        """Whether the channels of the open second, of so many samples, cancel each other."""
        most, channels = float(np.diagonal(self._second).max()), len(self._second)
        mean = float(self._second.sum()) / channels**2
        return most > QUIET_SECOND * count and mean < most * 10 ** (-FAR_BELOW_DB / 10)

    @property
    def cancelled_s(self) -> tuple[tuple[int, int], ...]:
        """Spans `[from, to)` of whole seconds whose mean is far below their loudest channel.

        A last second counts where there is half of it or more.
        """
        second, rest = divmod(self.samples, self._rate_hz)
        if 2 * rest < self._rate_hz or not self._is_cancelled(rest):
            return tuple(self._spans)
        if self._spans and self._spans[-1][1] == second:
            return (*self._spans[:-1], (self._spans[-1][0], second + 1))
        return (*self._spans, (second, second + 1))

    @property
    def loudest(self) -> int:
        """The place of the channel with the most energy, the first of equals; 0 of one channel."""
        return int(np.argmax(self._channels)) if len(self._channels) else 0

    @property
    def mean_below_db(self) -> float:
        """How far the mean lies below the loudest channel; 0 of one channel and of silence."""
        if not self.samples or (most := float(self._channels.max())) < QUIET * self.samples:
            return 0.0
        return float(10 * np.log10(most / max(self._mean, most * 10 ** (-LOWEST_DB / 10))))

    def warning(self, name: str, channel: ChannelChoice | int = "mean") -> str | None:
        """What to tell of channels that cancel each other, and of tracks that are not read.

        Args:
            name: of the recording.
            channel: what became mono; only a mean is cancelled.
        """
        cancelled = self._cancelled(name) if channel == "mean" else None
        if self.tracks < 2:
            return cancelled
        note = f"{name}: has {self.tracks} tracks of sound, of which one is read: extract others"
        return note if cancelled is None else f"{cancelled}; {note}"

    def _cancelled(self, name: str) -> str | None:
        what = f"{name}: the mean of its {len(self._channels)} channels is"
        if self.mean_below_db > FAR_BELOW_DB:
            below = f"{self.mean_below_db:.0f} dB below the loudest one"
            return f"{what} {below}: {CANCELLED}; {OTHER_WAYS}"
        if not (spans := self.cancelled_s):
            return None
        count = sum(end - begin for begin, end in spans)
        shown = ", ".join(f"{begin}-{end} s" for begin, end in spans[:SHOWN_SPANS])
        more = f" and {len(spans) - SHOWN_SPANS} more" if len(spans) > SHOWN_SPANS else ""
        return (
            f"{what} more than {FAR_BELOW_DB:.0f} dB below the loudest one in {count} of "
            f"{self.samples / self._rate_hz:.0f} s ({shown}{more}): there {CANCELLED}; {OTHER_WAYS}"
        )


def place(channel: Channel | int, channels: int, name: str) -> int | None:
    """Which channel is taken, None for the mean; of one channel it is that one.

    Args:
        channel: a choice, or a place from 0 on.
        channels: how many there are.
        name: what errors call the recording.

    Raises:
        AudioError: a choice that only the whole recording tells, or none that there is.
    """
    if isinstance(channel, int):
        if not 0 <= channel < channels:
            raise AudioError(
                f"{name}: got channel {channel + 1} of {channels}; expected one that there is"
            )
        return channel if channels > 1 else None
    if channel not in CHANNELS or channel == "loudest":
        raise AudioError(f"{name}: channel {channel!r}; expected one of {', '.join(CHANNELS)}")
    if channel == "mean" or channels == 1:
        return None
    return 0 if channel == "left" else 1


def mono(part: Floats, taken: int | None) -> Floats:
    """A part `(samples, channels)` as `(samples,)`."""
    if part.shape[1] == 1:
        return part[:, 0]
    if taken is not None:
        return part[:, taken]
    if part.shape[1] > 2:
        return np.asarray(part.mean(axis=1, dtype=np.float32))
    # Numpy's mean over so short an axis takes 15 times as long. The bits are those of it: there, no
    # zero is negative.
    mean: Floats = part[:, 0] + part[:, 1]
    mean += np.float32(0)
    mean *= np.float32(0.5)
    return mean


def each_name(number: int, channels: int) -> str:
    """What a channel is called, by its place from 0 on: left and right of two, else ch1, ch2 ..."""
    return ("left", "right")[number] if channels == 2 else f"ch{number + 1}"


def channel_notes(warnings: Iterable[str]) -> list[str]:
    """Warnings of recordings as one line, sorted; no line where there are none."""
    lines = sorted(set(warnings))  # channels of one recording say the same
    return [told(lines)] if lines else []
