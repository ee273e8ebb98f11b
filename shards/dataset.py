"""Random access to a packed dataset: its rows, and any clip by byte range."""

import contextlib
import io
from collections.abc import Collection, Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from isal import isal_zlib

from shards import audio
from shards.audio import fast_decode
from shards.audio.decoding import Samples
from shards.columns import Columns
from shards.errors import ShardsError
from shards.index import IndexRow, Listed, table_to_listed, table_to_rows
from shards.io import range_file
from shards.io.range_reader import RangeReader
from shards.io.store import Store
from shards.locations import Places, Resolver, local_only
from shards.manifest import Manifest, read_index, read_manifest
from shards.rows import Rows

ATTEMPTS = 2  # a wrong checksum may be of the way, not of the disk


class ReadError(ShardsError, OSError):
    """A clip that could not be read; the message is one line with shard, key and offset."""


class UnknownClipError(ShardsError, KeyError):
    """A clip that the index does not have; the message is one line."""

    __str__ = Exception.__str__  # not its `repr`, as of other KeyErrors


class Dataset:
    """A whole dataset in a store."""

    def __init__(
        self, store: Store, manifest: Manifest, table: pa.Table, resolve: Resolver = local_only
    ) -> None:
        self.store = store
        self.manifest = manifest
        self.table = table  # the index as Arrow columns
        self._places = Places(store, manifest.shards, resolve)
        self._readers: dict[Store, RangeReader] = {}
        self._shards: dict[str, tuple[RangeReader, str]] = {}  # its reader, and its name there

    @classmethod
    def open(cls, store: Store | Path | str, resolve: Resolver | None = None) -> "Dataset":
        """Read manifest and index.

        Args:
            store: where the dataset is; a folder or URL is opened as `Store.at` does.
            resolve: opens the folders of shards that lie elsewhere; by default as `Store.at` where
                a folder or URL was given, and else local ones alone.

        Raises:
            DatasetError: the dataset is not whole.
        """
        if not isinstance(store, Store):
            store, resolve = Store.at(store), resolve or Store.at
        resolve = resolve or local_only
        manifest = read_manifest(store)
        return cls(store, manifest, read_index(store, manifest.index), resolve)

    def place(self, shard: str) -> tuple[Store, str]:
        """The store that a shard lies in, and its name there."""
        return self._places(shard)

    @cached_property
    def columns(self) -> Columns:
        """The index column by column: no object for each clip, as `rows` has."""
        return Columns(self.table)

    def row(self, index: int) -> IndexRow:
        """One of `rows`, without building the others."""
        return table_to_rows(self.table.slice(index, 1))[0]

    def rows_of(self, keys: Sequence[str]) -> list[IndexRow]:
        """Some of `rows` by key, in the order of the keys, without building the others.

        Raises:
            UnknownClipError: the index has no such clip.
        """
        places = pc.index_in(pa.array(keys, pa.string()), value_set=self.table["key"])
        if places.null_count:
            missing = keys[places.is_null().to_pylist().index(True)]
            raise UnknownClipError(f"{self.store.root}: no clip {missing!r} in its index")
        return table_to_rows(self.table.take(places))

    def rows_at(self, indices: npt.NDArray[np.int64]) -> list[IndexRow]:
        """Some of `rows` by their places in it, without building the others."""
        return table_to_rows(self.table.take(pa.array(indices, pa.int64())))

    def read_range(self, shard: str, offset: int, size: int) -> bytes:
        """Bytes of a shard; the store itself tries again where a connection breaks."""
        reader, name = self._shard(shard)
        return reader.read(name, offset, size)

    @cached_property
    def rows(self) -> Rows:
        """All clips, in the order in which they lie in the shards, each built when looked at."""
        return Rows(self.table)

    def select(self, subsets: Collection[str] | None = None) -> Rows:
        """The clips of some subsets, or all, each built when looked at."""
        return self.rows if subsets is None else Rows(self._of_subsets(subsets))

    def listed(self, subsets: Collection[str]) -> list[Listed]:
        """What `select` gives, in short: of millions of clips."""
        return table_to_listed(self._of_subsets(subsets))

    def _of_subsets(self, subsets: Collection[str]) -> pa.Table:
        wanted = pc.is_in(self.table["subset"], value_set=pa.array(list(subsets), pa.string()))
        return self.table.filter(wanted)

    def read(self, row: IndexRow, verify: bool = True) -> bytes:
        """A clip's audio file as it was packed.

        The store itself tries again where a connection breaks. Bytes that do not match the
        checksum of the index are read once more; `verify=False` takes them as they are. What
        still fails is a `ReadError`.
        """
        for _ in range(ATTEMPTS):
            try:
                data = self.read_range(row.shard, row.offset, row.size)
            except OSError as error:
                reason = " ".join(str(error).split())
                raise ReadError(f"{self.where(row)}: {reason}") from error
            if not verify or isal_zlib.crc32(data) == row.crc32:
                return data
            reader, name = self._shard(row.shard)
            reader.forget(name)
        raise ReadError(
            f"{self.where(row)}: its bytes do not match the checksum of the index, "
            f"{ATTEMPTS} times; run pmam verify, restore the shard or pack it again"
        )

    def audio(
        self, row: IndexRow, sample_rate_hz: int | None = None, verify: bool = True
    ) -> Samples:
        """A clip as float32 mono `(samples,)`, at its own rate or resampled.

        With `verify=False` FLAC is decoded by libsndfile: dr_flac says nothing of damage.
        """
        data = self.read(row, verify=verify)
        if row.codec == "flac" and not verify:
            name = f"{self.where(row)} ({row.codec})"
            return audio.decode(data, name, sample_rate_hz=sample_rate_hz)
        return self.decoded(row, data, sample_rate_hz)

    def decoded(
        self, row: IndexRow, data: bytes | memoryview, sample_rate_hz: int | None = None
    ) -> Samples:
        """What `audio` returns, of bytes that were read and compared with the checksum before."""
        return fast_decode.decode(data, row, _Name(self, row), sample_rate_hz)

    def audio_blocks(
        self, row: IndexRow, sample_rate_hz: int, block_s: float
    ) -> Generator[Samples]:
        """What `audio` returns, in blocks: a clip of any length in bounded memory."""
        name = f"{self.where(row)} ({row.codec})"
        with self.open_audio(row) as file:
            yield from audio.blocks(file, name, sample_rate_hz=sample_rate_hz, block_s=block_s)

    @contextlib.contextmanager
    def open_audio(self, row: IndexRow) -> Iterator[range_file.Opened]:
        """What `read` returns as a file; of a long clip at most `WHOLE_BYTES` are in memory.

        All bytes of a long clip are compared with the checksum first, then read again.
        """
        if row.size <= range_file.WHOLE_BYTES:
            yield io.BytesIO(self.read(row))
            return
        for _ in range(ATTEMPTS):
            with self._part(row) as file:
                crc32 = 0
                while data := file.read(range_file.WHOLE_BYTES):
                    crc32 = isal_zlib.crc32(data, crc32)
            if crc32 == row.crc32:
                break
        else:
            raise ReadError(
                f"{self.where(row)}: its bytes do not match the checksum of the index, "
                f"{ATTEMPTS} times; run pmam verify, restore the shard or pack it again"
            )
        with self._part(row) as file:
            yield file

    @contextlib.contextmanager
    def _part(self, row: IndexRow) -> Iterator[range_file.Opened]:
        try:
            store, name = self.place(row.shard)
            with range_file.opened(store, name, row.offset, row.size) as file:
                yield file
        except OSError as error:
            reason = " ".join(str(error).split())
            raise ReadError(f"{self.where(row)}: {reason}") from error

    def _shard(self, shard: str) -> tuple[RangeReader, str]:
        known = self._shards.get(shard)
        if known is None:
            store, name = self.place(shard)
            if store not in self._readers:
                self._readers.setdefault(store, RangeReader(store))
            known = self._shards.setdefault(shard, (self._readers[store], name))
        return known

    def where(self, row: IndexRow) -> str:
        """What errors call a clip: shard, key and offset."""
        store, name = self.place(row.shard)
        return f"{store.path(name)}: clip {row.key} at offset {row.offset}"


class _Name:
    """What errors call a clip's audio: to put it together costs more than to read a header."""

    __slots__ = ("dataset", "row")

    def __init__(self, dataset: Dataset, row: IndexRow) -> None:
        self.dataset = dataset
        self.row = row

    def __str__(self) -> str:
        return f"{self.dataset.where(self.row)} ({self.row.codec})"
