"""Random access to a packed dataset: its rows, and any clip by byte range."""

import hashlib
from collections.abc import Collection
from functools import cached_property

import pyarrow as pa

from shards import audio
from shards.index import IndexRow, table_to_rows
from shards.manifest import Manifest, read_index, read_manifest
from shards.store import Store

ATTEMPTS = 2  # a wrong checksum may be of the way, not of the disk


class ReadError(OSError):
    """A clip that could not be read; the message is one line with shard, key and offset."""


class Dataset:
    """A whole dataset in a store."""

    def __init__(self, store: Store, manifest: Manifest, table: pa.Table) -> None:
        self.store = store
        self.manifest = manifest
        self.table = table  # the index as Arrow columns

    @classmethod
    def open(cls, store: Store) -> "Dataset":
        """Read manifest and index; `DatasetError` where the dataset is not whole."""
        manifest = read_manifest(store)
        return cls(store, manifest, read_index(store, manifest.index))

    @cached_property
    def rows(self) -> list[IndexRow]:
        """All clips, in the order in which they lie in the shards."""
        return table_to_rows(self.table)

    def select(self, subsets: Collection[str] | None = None) -> list[IndexRow]:
        """The clips of some subsets; all where none are named."""
        return [row for row in self.rows if subsets is None or row.subset in subsets]

    def read(self, row: IndexRow, verify: bool = True) -> bytes:
        """A clip's audio file as it was packed.

        The store itself tries again where a connection breaks. Bytes that do not match the
        checksum of the index are read once more; `verify=False` takes them as they are. What
        still fails is a `ReadError`.
        """
        for _ in range(ATTEMPTS):
            try:
                data = self.store.read(row.shard, row.offset, row.size)
            except OSError as error:
                reason = " ".join(str(error).split())
                raise ReadError(f"{_place(self.store, row)}: {reason}") from error
            if not verify or hashlib.sha256(data).hexdigest() == row.checksum:
                return data
        raise ReadError(
            f"{_place(self.store, row)}: its bytes do not match the checksum of the index, "
            f"{ATTEMPTS} times; run pmam verify, restore the shard or pack it again"
        )

    def audio(self, row: IndexRow, sample_rate_hz: int | None = None) -> audio.Samples:
        """A clip as float32 mono `(samples,)`, at its own rate or resampled."""
        name = f"{_place(self.store, row)} ({row.codec})"
        return audio.decode(self.read(row), name, sample_rate_hz=sample_rate_hz)


def _place(store: Store, row: IndexRow) -> str:
    return f"{store.path(row.shard)}: clip {row.key} at offset {row.offset}"
