"""The index column by column: what reading needs of millions of clips, without an object each."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
LARGEST = ("checksum", "key", "source_id", "shard")  # what is copied while little is held
TEXTS = 1 << 14  # values that become objects at a time
RANK_BITS = 512  # of a selection, per count that is kept


def read_table(file: pa.NativeFile | BinaryIO) -> pa.Table:
    """A Parquet file, each column in one piece.

    Read column after column, the largest first: a million clips take 0.28 GB, and no more on
    the way there; all columns at once take 0.46 GB.
    """
    parquet = pq.ParquetFile(file, pre_buffer=False)
    names = parquet.schema_arrow.names
    columns = {
        name: one_piece(parquet.read(columns=[name], use_threads=False).column(0))
        for name in sorted(names, key=lambda name: name not in LARGEST)
    }
    table = pa.table([columns[name] for name in names], schema=parquet.schema_arrow)
    pa.default_memory_pool().release_unused()  # what decoding took
    return table


class Columns:
    """Where each clip lies: arrays over the rows of the index, which Arrow's memory backs."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self.offset = numbers(table["offset"])
        self.size = numbers(table["size"])
        self.crc32 = numbers(table["crc32"])
        self._checksum = one_piece(table["checksum"])
        shards = pc.run_end_encode(one_piece(table["shard"]), run_end_type=pa.int64())
        self._shards: list[str] = shards.values.to_pylist()
        self._shard_stops = numbers(shards.run_ends)

    def shard(self, index: int) -> str:
        """The name of the shard that a clip lies in."""
        return self._shards[int(np.searchsorted(self._shard_stops, index, side="right"))]

    def checksum(self, index: int) -> str:
        """The sha256 of a clip's audio file."""
        return str(self._checksum[index].as_py())

    def of_subset(self, subset: str) -> Bools:
        """Which clips are of a subset."""
        return bools(pc.equal(one_piece(self.table["subset"]), subset))

    def among(self, keys: Iterable[str]) -> Bools:
        """Which clips have one of these keys."""
        found = pc.is_in(one_piece(self.table["key"]), value_set=pa.array(list(keys), pa.string()))
        return bools(found)

    def of_sources(self, ids: Iterable[str]) -> Bools:
        """Which clips have one of these ids."""
        ids = pa.array(list(ids), pa.string())
        return bools(pc.is_in(one_piece(self.table["source_id"]), value_set=ids))

    def labelled(self) -> Bools:
        """Which clips have a weak label or a strong event; to be labelled as silent is neither."""
        counts = [pc.list_value_length(one_piece(self.table[name])) for name in ("weak", "events")]
        return np.logical_or(*(numbers(count.fill_null(0)) > 0 for count in counts))

    def sample_rates_hz(self) -> Ints:
        """Of all clips."""
        return numbers(self.table["sample_rate_hz"])

    def chosen(self, subset: str) -> "Chosen":
        """The clips of a subset."""
        return Chosen(self.of_subset(subset))


class Chosen:
    """Some of the numbers below `len(mask)`, in order, at 1.13 bits for each number there is.

    `chosen[k]` is the k-th of them, for an array of any `k` at once.
    """

    def __init__(self, mask: Bools) -> None:
        bits = np.packbits(mask)
        blocks = -(-len(mask) // RANK_BITS)
        self._bits = np.zeros((blocks, RANK_BITS // 8), np.uint8)
        self._bits.reshape(-1)[: len(bits)] = bits
        counts = np.bitwise_count(self._bits).sum(axis=1, dtype=np.int64)
        self._before = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)  # (blocks + 1,)

    def __len__(self) -> int:
        return int(self._before[-1])

    def __getitem__(self, ranks: Ints) -> Ints:
        block = np.searchsorted(self._before, ranks, side="right") - 1
        bits = np.unpackbits(self._bits[block], axis=1)  # (ranks, RANK_BITS)
        seen = np.cumsum(bits, axis=1, dtype=np.int64)
        inside = np.argmax(seen > (ranks - self._before[block])[:, None], axis=1)
        return np.asarray(block * RANK_BITS + inside, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return int(self._bits.nbytes + self._before.nbytes)


def one_piece(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def numbers(column: pa.ChunkedArray | pa.Array) -> Ints:
    """Integers without null."""
    # Arrow's own `to_numpy` imports pandas: 45 MB and a second
    return np.asarray(np.from_dlpack(one_piece(column)), np.int64)


def bools(values: pa.BooleanArray) -> Bools:
    """Booleans as a byte each, again without pandas."""
    return np.asarray(np.from_dlpack(values.cast(pa.uint8())), np.bool_)


def texts(column: pa.Array) -> Iterator[str]:
    """The values of a column without null, a few thousand at a time."""
    for start in range(0, len(column), TEXTS):
        yield from column.slice(start, TEXTS).to_pylist()
