"""Writing frame sequences: a file of `shards/frames/reader.py` by rows, a long row by blocks."""

import mmap
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.errors import FrameError, naming
from shards.frames.checksums import of_batch, with_checksum
from shards.frames.reader import COLUMNS, FrameSpec
from shards.frames.sparse8 import sparse8_columns

BATCH_BYTES = 4 << 20  # rows are written, and read from an object store, in batches of about this

Positions = Sequence[int] | npt.NDArray[np.integer[Any]]


class FrameWriter:
    """Writes one file at a local path, batch by batch; an exception in the block removes it."""

    def __init__(self, path: Path, spec: FrameSpec) -> None:
        self.path = path
        self.spec = spec
        self._keys: set[str] = set()
        self._waiting = _Batch(self._spool())
        self._schema = COLUMNS.with_metadata(with_checksum(spec.metadata()))
        with naming(path):
            self._writer = pa.ipc.new_file(str(path), self._schema)

    def __enter__(self) -> "FrameWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        whole = False
        try:
            with naming(self.path):
                if kind is None:
                    self._flush()
                self._writer.close()
            whole = kind is None
        finally:
            if not whole:
                self.path.unlink(missing_ok=True)

    def add(self, key: str, frames: npt.NDArray[Any], positions: Positions | None = None) -> None:
        """Append a clip's frames `(n, width)`, and the grid indices `(n,)` of sampled ones.

        Raises `ValueError`, naming the key, for a key that is already there, another shape,
        values that are not finite or that the dtype cannot hold, and positions that do not rise.
        """
        self.add_blocks(key, [(frames, positions)])

    def add_blocks(
        self, key: str, blocks: Iterable[tuple[npt.NDArray[Any], Positions | None]]
    ) -> int:
        """As `add`, for frames that come in blocks, with positions in all of them or in none.

        Returns the number of frames. Of a long row, the bytes to be stored wait in a temporary
        file: its length takes no memory.
        """
        if key in self._keys:
            raise FrameError(f"{key}: is in {self.path} already; expected each clip once")
        columns: list[IO[bytes]] = []  # of the encoding
        placed: list[npt.NDArray[np.int32]] = []
        count, last = 0, -1
        for frames, positions in blocks:
            if frames.ndim != 2 or frames.shape[1] != self.spec.width:
                raise FrameError(
                    f"{key}: got frames of {frames.shape}; expected (n, {self.spec.width})"
                )
            if positions is not None:
                steps = np.diff(np.asarray(positions, np.int64), prepend=last)
                if len(steps) != len(frames) or (steps <= 0).any():
                    raise FrameError(
                        f"{key}: got {len(steps)} positions for {len(frames)} frames; "
                        "expected one rising index, from 0 on, for each"
                    )
                placed.append(np.asarray(positions, np.int32))
                last = int(positions[-1]) if len(steps) else last
            encoded = _encode(key, frames, self.spec)
            columns = columns or [self._spool() for _ in encoded]
            with naming(self.path):
                for column, data in zip(columns, encoded, strict=True):
                    column.write(data)
            count += len(frames)
        if placed and sum(map(len, placed)) != count:
            raise FrameError(f"{key}: got positions for some blocks; expected them for all or none")
        self._keys.add(key)
        with naming(self.path):
            self._waiting.add(key, count, columns, np.concatenate(placed) if placed else None)
            if self._waiting.size >= BATCH_BYTES:
                self._flush()
        return count

    def _flush(self) -> None:
        if self._waiting.keys:
            batch = self._waiting.finish(self._schema)
            self._writer.write_batch(batch, custom_metadata=of_batch(batch))
        self._waiting = _Batch(self._spool())

    def _spool(self) -> IO[bytes]:
        return cast(
            IO[bytes],
            tempfile.SpooledTemporaryFile(BATCH_BYTES, "w+b", dir=str(self.path.parent)),
        )


class _Batch:
    """Rows to be written together, and a file for their values."""

    def __init__(self, values: IO[bytes]) -> None:
        self.keys: list[str] = []
        self._counts: list[int] = []
        self._positions: list[npt.NDArray[np.int32] | None] = []
        self._values = values
        self._ends = [0]

    @property
    def size(self) -> int:
        """Bytes of values."""
        return self._ends[-1]

    def add(
        self,
        key: str,
        count: int,
        columns: Sequence[IO[bytes]],
        positions: npt.NDArray[np.int32] | None,
    ) -> None:
        """One row."""
        for column in columns:
            column.seek(0)
            shutil.copyfileobj(column, self._values)
            column.close()
        self.keys.append(key)
        self._counts.append(count)
        self._positions.append(positions)
        self._ends.append(self._values.tell())

    def finish(self, schema: pa.Schema) -> pa.RecordBatch:
        """All rows; nothing can be added after."""
        ends = pa.py_buffer(np.array(self._ends, np.int64))
        buffers = [None, ends, self._mapped()]
        columns = [
            pa.array(self.keys, schema.field("key").type),
            pa.array(self._counts, schema.field("frames").type),
            pa.Array.from_buffers(pa.large_binary(), len(self.keys), buffers, null_count=0),
            pa.array(self._positions, schema.field("positions").type),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _mapped(self) -> pa.Buffer:
        """The values, which the system may take out of memory again where they are a file."""
        if self.size < BATCH_BYTES:
            self._values.seek(0)
            return pa.py_buffer(self._values.read())
        descriptor = self._values.fileno()  # first: it may move the values to the disk
        self._values.flush()
        return pa.py_buffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))


def _encode(key: str, frames: npt.NDArray[Any], spec: FrameSpec) -> tuple[bytes, ...]:
    """The columns of the stored row; those of joined frames are the columns joined."""
    finite = bool(np.isfinite(frames).all())
    if spec.dtype == "sparse8":
        if not finite or (frames < 0).any() or (frames > 1).any():
            raise FrameError(
                f"{key}: got values that are not in [0, 1]; expected {spec.kind} in it"
            )
        return sparse8_columns(frames.astype(np.float32))
    if not finite:
        raise FrameError(f"{key}: got NaN or infinity; expected finite {spec.kind}")
    with np.errstate(over="ignore"):
        stored = frames.astype(spec.dtype)
    if not np.isfinite(stored).all():
        raise FrameError(
            f"{key}: got {np.abs(frames).max():g}, too large for {spec.dtype}; "
            "use float32, or standardise"
        )
    return (stored.tobytes(),)
