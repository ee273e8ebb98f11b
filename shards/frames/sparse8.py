"""Values in [0, 1], most of them near 0 (posteriors): 8 bits each where they are not."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Floats = npt.NDArray[np.float32]
ERROR_BOUND = 1 / 510  # of every value: half a step of 1/255


def sparse8_columns(values: Floats) -> tuple[bytes, bytes, bytes]:
    """Frames `(n, width)` in [0, 1] as the number of entries of each frame, their indices, values.

    Numbers and indices take one byte up to a width of 255, else two. An entry is dropped where it
    rounds to 0 of 255, so every value is within 1/510. The columns of joined frames are the columns
    joined.
    """
    levels = np.rint(values * np.float32(255)).astype(np.uint8)  # (n, width)
    frames, indices = np.nonzero(levels)
    counts = np.bincount(frames, minlength=len(values))
    index_type = _index_type(values.shape[1])
    entries = levels[frames, indices].tobytes()
    return counts.astype(index_type).tobytes(), indices.astype(index_type).tobytes(), entries


def decode_sparse8(
    data: pa.Buffer | bytes, frames: int, width: int, first: int = 0, stop: int | None = None
) -> Floats:
    """The frames `(frames, width)` of joined `sparse8_columns`, or those in `[first, stop)`.

    Sums are not made 1 again.
    """
    index_type = _index_type(width)
    counts = np.frombuffer(data, index_type, frames)
    entries = int(counts.sum(dtype=np.int64))
    before = int(counts[:first].sum(dtype=np.int64))
    here = counts[first:stop]
    wanted = int(here.sum(dtype=np.int64))
    start = counts.nbytes
    indices = np.frombuffer(data, index_type, wanted, start + before * index_type.itemsize)
    start += entries * index_type.itemsize
    levels = np.frombuffer(data, np.uint8, wanted, start + before)
    values = np.zeros((len(here), width), np.float32)
    values[np.repeat(np.arange(len(here)), here), indices] = levels / np.float32(255)
    return values


def _index_type(width: int) -> np.dtype[Any]:
    return np.dtype("<u1") if width <= 255 else np.dtype("<u2")
