"""What a dataset's folder still tells of its clips where manifest or index are lost."""

import json
from dataclasses import dataclass

import pyarrow as pa

from shards.columns import read_table
from shards.errors import ShardsError
from shards.index import SCHEMA, IndexRow, table_to_rows
from shards.io.store import Store
from shards.manifest import INDEX_FOLDER
from shards.packing.writer import WrittenShard

PARTS_FOLDER = "parts"  # what the job that packed noted of each tar


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """The ids of the clips that each tar held, and the index, if just one is left."""

    tars: dict[str, list[str]]
    index: list[IndexRow] | None

    @classmethod
    def of(cls, store: Store) -> "Remembered":
        """What indexes and parts say; what cannot be read says nothing."""
        tars: dict[str, list[str]] = {}
        for name in store.names(PARTS_FOLDER):
            shard = _shard(store, name)
            if shard is not None:
                tars[shard.name] = [row.source_id for row in shard.rows]
        names = store.names(INDEX_FOLDER)
        indexes = [rows for name in names if (rows := _rows(store, name)) is not None]
        for rows in indexes:
            for row in rows:
                ids = tars.setdefault(row.shard, [])
                if row.source_id not in ids:
                    ids.append(row.source_id)
        return cls(tars=tars, index=indexes[0] if len(names) == 1 == len(indexes) else None)


def _shard(store: Store, name: str) -> WrittenShard | None:
    try:
        return WrittenShard.from_json(json.loads(store.read(name))["written"])
    except (ShardsError, OSError, ValueError, KeyError, TypeError):
        return None


def _rows(store: Store, name: str) -> list[IndexRow] | None:
    try:
        table = read_table(pa.BufferReader(store.read(name)))
        return table_to_rows(table) if table.schema.names == SCHEMA.names else None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError):
        return None
