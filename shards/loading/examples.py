"""What a batch is made of: crops of clips, read as samples or as anything that stands for them."""

import contextlib
import hashlib
import logging
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from shards import audio
from shards.audio.decoding import AudioError, Samples
from shards.dataset import Dataset, ReadError
from shards.errors import SettingsError
from shards.index import IndexRow
from shards.io.disk_cache import ClipCache
from shards.loading.prefetch import Data, FileReader, Reading

Floats = npt.NDArray[np.float32]
Failure = ReadError | AudioError
OnError = Literal["fail", "silence"]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Example:
    """A clip, or a crop of it."""

    row: IndexRow
    samples: Floats  # (samples,) or (steps, channels), zeros past the end of the clip
    start: int  # sample of the clip at which the crop begins
    held: int  # samples that are the clip's; the rest is padding
    is_whole: bool = True  # whether nothing was cropped away
    epoch: int = 0  # of its group, that the crop was drawn for
    weight: float = 1.0  # 0 for what fills an evaluation batch, and for a clip that failed


class ClipReader(Protocol):
    """Reads what the loader crops: samples, or stored inputs of an encoder instead of them."""

    def read(
        self, indices: Iterable[int]
    ) -> Generator[tuple[IndexRow, Floats | Failure], None, None]:
        """`(row, its samples)` for each row of the index asked for, in that order.

        A clip that cannot be read comes as the error. Reading ahead is welcome.
        """

    def rate_hz(self, row: IndexRow) -> float:
        """Samples of a clip per second, as `read` gives them."""

    def silence(self, samples: int) -> Floats:
        """So many samples of nothing, instead of a clip that cannot be read."""


class AudioReader:
    """The clips of a dataset as float32 mono, read ahead by byte ranges of neighbours.

    Args:
        dataset: where they are.
        sample_rate_hz: that they are resampled to; None: they stay as they are.
        reading: limits of the reader.
        cache: where their files are kept between epochs.
    """

    def __init__(
        self,
        dataset: Dataset,
        sample_rate_hz: int | None = None,
        reading: Reading | None = None,
        cache: ClipCache | None = None,
    ) -> None:
        self.dataset, self.sample_rate_hz = dataset, sample_rate_hz
        self.reading, self.cache = reading or Reading(), cache

    def read(
        self, indices: Iterable[int]
    ) -> Generator[tuple[IndexRow, Samples | Failure], None, None]:
        """See `ClipReader`."""
        files = FileReader(self.dataset, self.reading, self.cache)
        with contextlib.closing(files.read(indices)) as found:
            for index, data in found:
                row = self.dataset.row(index)
                yield row, data if isinstance(data, ReadError) else self._decoded(row, data)

    def rate_hz(self, row: IndexRow) -> float:
        """See `ClipReader`."""
        return self.sample_rate_hz or row.sample_rate_hz

    def silence(self, samples: int) -> Samples:
        """See `ClipReader`."""
        return np.zeros(samples, np.float32)

    def _decoded(self, row: IndexRow, data: Data) -> Samples | AudioError:
        try:
            if row.codec == "flac" and not self.reading.verify:  # dr_flac says nothing of damage
                name = f"{self.dataset.where(row)} ({row.codec})"
                return audio.decode(bytes(data), name, sample_rate_hz=self.sample_rate_hz)
            return self.dataset.decoded(row, data, self.sample_rate_hz)
        except AudioError as error:
            return error


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Which part of a clip an example is: a pure function of seed, epoch and key.

    Args:
        crop_s: length; longer clips are cropped at random, shorter ones padded with zeros at the
            end. None = whole clips.
        hop_s: crops begin and end at multiples of it, such as frames of labels; None = anywhere.
        seed: of where crops begin.
    """

    crop_s: float | None = None
    hop_s: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value in (("crop_s", self.crop_s), ("hop_s", self.hop_s)):
            if value is not None and not 0 < value < float("inf"):
                raise SettingsError(f"{name} {value}: expected a positive length in seconds")

    def size(self, rate_hz: float) -> int | None:
        """Samples of an example at a rate; None = as many as the clip has."""
        if self.crop_s is None:
            return None
        if self.hop_s is None:
            return max(1, round(self.crop_s * rate_hz))
        return max(1, round(self.crop_s / self.hop_s)) * self._unit(rate_hz)

    def _unit(self, rate_hz: float) -> int:
        return 1 if self.hop_s is None else max(1, round(self.hop_s * rate_hz))

    def cut(self, row: IndexRow, samples: Floats, rate_hz: float, epoch: int) -> Example:
        """The example of a clip in an epoch."""
        size, unit = self.size(rate_hz), self._unit(rate_hz)
        if size is None:
            return Example(row, samples, 0, len(samples), epoch=epoch)
        available = -(-len(samples) // unit)
        first = crop_start(self.seed, epoch, row.key, available - size // unit)
        crop = samples[first * unit :][:size]
        held = len(crop)
        padding: list[Any] = [(0, size - held), *[(0, 0)] * (crop.ndim - 1)]
        # A copy in any case: the whole clip need not be held.
        crop = np.pad(crop, padding) if held < size else crop.copy()
        return Example(row, crop, first * unit, held, available * unit <= size, epoch)


def crop_start(seed: int, epoch: int, key: str, last: int) -> int:
    """Where a clip's crop begins, in 0..last: a pure function of seed, epoch and key."""
    if last <= 0:
        return 0
    digest = hashlib.blake2b(f"{seed}:{epoch}:{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") * (last + 1) >> 64


def cut_or_silence(
    clips: ClipReader,
    crops: Crops,
    row: IndexRow,
    samples: Floats | Failure,
    epoch: int,
    on_error: OnError,
    failed: list[str],
) -> Example:
    """The example of a clip, or, of one that could not be read, silence where that is allowed."""
    rate_hz = clips.rate_hz(row)
    if not isinstance(samples, Exception):
        return crops.cut(row, samples, rate_hz, epoch)
    if on_error == "fail":
        raise samples
    _log.warning("given as silence: %s", samples)
    failed.append(str(samples))
    size = crops.size(rate_hz)
    length = round(row.duration_s * rate_hz) if size is None else size
    return Example(row, clips.silence(length), 0, 0, epoch=epoch, weight=0.0)


def no_clips(dataset: Dataset, subset: str, *, chosen: bool = False) -> str:
    """What an error says of a subset that has none: which ones the dataset has."""
    counts = pc.value_counts(dataset.table["subset"]).to_pylist()
    there = ", ".join(sorted(f"{each['values']} ({each['counts']})" for each in counts))
    which = " among the chosen ones" if chosen else ""
    return f"no clips of the subset {subset!r}{which}; the dataset has {there or 'none at all'}"
