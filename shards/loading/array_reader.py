"""Arrays that stand in shards instead of audio, such as spectrograms that others computed."""

import contextlib
import io
from collections.abc import Generator, Iterable

import numpy as np

from shards.dataset import Dataset, ReadError
from shards.index import IndexRow
from shards.io.disk_cache import ClipCache
from shards.loading.examples import Failure, Floats
from shards.loading.prefetch import Data, FileReader, Reading

CODEC = "npy"


class ArrayReader:
    """A `ClipReader` of members `.npy`: `(frames, channels)` of each clip.

    Args:
        dataset: where they are.
        hop_s: from one frame to the next.
        reading: limits of the reader.
        cache: where files are kept between epochs.
    """

    def __init__(
        self,
        dataset: Dataset,
        hop_s: float,
        reading: Reading | None = None,
        cache: ClipCache | None = None,
    ) -> None:
        self.dataset, self.hop_s = dataset, hop_s
        self.reading, self.cache = reading or Reading(), cache

    def read(
        self, indices: Iterable[int]
    ) -> Generator[tuple[IndexRow, Floats | Failure], None, None]:
        """See `ClipReader`."""
        files = FileReader(self.dataset, self.reading, self.cache)
        with contextlib.closing(files.read(indices)) as found:
            for index, data in found:
                row = self.dataset.row(index)
                yield row, data if isinstance(data, ReadError) else self._array(row, data)

    def rate_hz(self, row: IndexRow) -> float:
        """Frames per second."""
        return 1 / self.hop_s

    def silence(self, samples: int) -> Floats:
        """So many frames of zeros."""
        return np.zeros((samples, 1), np.float32)

    def _array(self, row: IndexRow, data: Data) -> Floats | ReadError:
        try:
            return array_of(bytes(data))
        except ValueError as error:
            return ReadError(f"{self.dataset.where(row)}: no array of numbers ({error})")


def array_of(data: bytes) -> Floats:
    """The numbers of a file `.npy`, `(frames, channels)`.

    Raises:
        ValueError: it is none, or of another shape.
    """
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"{array.dtype} {array.shape}; expected floats (frames, channels)")
    return np.asarray(array, np.float32)


def file_of(array: Floats) -> bytes:
    """The file `.npy` of an array, the same bytes each time."""
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()
