"""A whole dataset: the manifest `dataset.json` over its shards and its index file."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shards.columns import numbers, one_piece, read_table
from shards.errors import ShardsError, naming
from shards.index import SCHEMA, IndexRow
from shards.io.store import Store
from shards.label_columns import durations_s
from shards.rows import Rows, table_of

FORMAT_VERSION = 2
MANIFEST = "dataset.json"
INDEX_FOLDER = "index"
SHARD_FOLDER = "shards"
HASHED_BYTES = 1 << 20  # at a time


class DatasetError(ShardsError, ValueError):
    """A dataset that is not whole, or not of this format; the message is one line."""


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One tar of a dataset, as the manifest names it.

    `url` says where it lies, absolute or relative to the dataset's URL; None = `name` under the
    dataset's own root, as `pmam pack` wrote it. `clips` are those that the index has.
    """

    name: str
    size: int
    sha256: str
    clips: int
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """The index file, as the manifest names it."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the index."""

    clips: int
    seconds: float
    subsets: Mapping[str, int]  # clips of each subset


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """`dataset.json`: its presence means that the dataset is whole."""

    format_version: int
    name: str
    licence: str
    classes: tuple[str, ...] | None  # None = nothing is labelled
    index: IndexEntry
    shards: tuple[ShardEntry, ...]
    totals: Totals

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Manifest":
        """A manifest out of parsed JSON; `KeyError` or `TypeError` where a field is missing."""
        return cls(
            format_version=values["format_version"],
            name=values["name"],
            licence=values["licence"],
            classes=None if values["classes"] is None else tuple(values["classes"]),
            index=IndexEntry(**values["index"]),
            shards=tuple(ShardEntry(**shard) for shard in values["shards"]),
            totals=Totals(**values["totals"]),
        )


def write_dataset(
    store: Store,
    rows: Iterable[IndexRow],
    *,
    name: str,
    licence: str,
    classes: Sequence[str] | None,
    shards: Iterable[ShardEntry],
) -> Manifest:
    """Make tars that are in the store a dataset: write the index, and the manifest last.

    The same rows in any order give the same bytes. The index is named after its content, so
    that an older dataset in the same place stays readable until the new manifest is there; the
    older index is then removed. Shards without clips are left out.
    """
    table = _in_order(table_of(rows))
    shards = sorted((shard for shard in shards if shard.clips), key=lambda shard: shard.name)
    _check_unique(table)
    _check_shards(table, shards)
    data = _parquet_bytes(table)
    digest = hashlib.sha256(data).hexdigest()
    index = IndexEntry(
        name=f"{INDEX_FOLDER}/clips-{digest[:12]}.parquet", size=len(data), sha256=digest
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        licence=licence,
        classes=None if classes is None else tuple(classes),
        index=index,
        shards=tuple(shards),
        totals=totals(Rows(table)),
    )
    store.write(index.name, data)
    store.write(MANIFEST, json.dumps(_plain(manifest), indent=1, ensure_ascii=False).encode())
    for other in store.names(INDEX_FOLDER):
        if other != index.name:
            store.delete(other)
    return manifest


def _plain(manifest: Manifest) -> dict[str, Any]:
    """Values for JSON; shards under the dataset's own root have no URL there."""
    values = asdict(manifest)
    for shard in values["shards"]:
        if shard["url"] is None:
            del shard["url"]
    return values


def read_manifest(store: Store) -> Manifest:
    """The manifest, or a `DatasetError` that says why there is none to use."""
    if store.size(MANIFEST) is None:
        raise DatasetError(
            f"not a whole dataset: {MANIFEST} missing under {store.root}; run pmam pack again"
        )
    path = store.path(MANIFEST)
    try:
        values = json.loads(store.read(MANIFEST))
        version = values["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: no dataset manifest ({type(error).__name__}: {error}); run pmam pack again"
        ) from error
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{path}: got format version {version!r}, expected {FORMAT_VERSION}; pack the source "
            "again, or use the version of pmam that wrote it"
        )
    try:
        return Manifest.from_dict(values)
    except (KeyError, TypeError) as error:
        raise DatasetError(
            f"{path}: a field is missing or unknown ({error}); run pmam pack again"
        ) from error


def read_index(store: Store, entry: IndexEntry) -> pa.Table:
    """The index file's table, its bytes checked against the manifest."""
    # A local file is read column by column; a remote one comes in one request.
    path = store.path(entry.name)
    with (
        naming(path),
        pa.OSFile(path) if store.is_local else pa.BufferReader(store.read(entry.name)) as file,
    ):
        digest = hashlib.sha256()
        while block := file.read(HASHED_BYTES):
            digest.update(block)
        if (size := file.tell()) != entry.size or digest.hexdigest() != entry.sha256:
            raise DatasetError(
                f"{store.path(entry.name)}: got {size} bytes with sha256 "
                f"{digest.hexdigest()[:12]}, the manifest says {entry.size} with "
                f"{entry.sha256[:12]}; run pmam pack again"
            )
        table = read_table(file)
    if table.schema.names != SCHEMA.names:
        raise DatasetError(
            f"{store.path(entry.name)}: got the columns {', '.join(table.schema.names)}; expected "
            f"{', '.join(SCHEMA.names)}; run pmam pack again"
        )
    return table


def totals(rows: Iterable[IndexRow]) -> Totals:
    """Clips, seconds and clips per subset."""
    table = table_of(rows)
    subsets = table["subset"].value_counts().to_pylist()
    return Totals(
        clips=len(table),
        seconds=round(math.fsum(durations_s(Rows(table))), 6),
        subsets=dict(sorted((each["values"], each["counts"]) for each in subsets)),
    )


def _in_order(table: pa.Table) -> pa.Table:
    """Rows in the order in which they lie in the shards; those that are in it are not copied.

    With the schema alone: what was read of a file brings numbers of that file's fields.
    """
    table = table.cast(SCHEMA)
    order = pc.sort_indices(table, sort_keys=[("shard", "ascending"), ("offset", "ascending")])
    places = numbers(order)
    if (places[:-1] < places[1:]).all():
        return table.combine_chunks()
    return table.take(order).combine_chunks()


def _check_unique(table: pa.Table) -> None:
    for name in ("source_id", "key"):
        column = one_piece(table[name])
        if len(column.unique()) == len(column):
            continue
        counts = column.value_counts()
        doubled = counts.filter(pc.greater(counts.field("counts"), 1)).to_pylist()
        first = doubled[0]["values"]
        places = sorted(set(table["shard"].filter(pc.equal(column, first)).to_pylist()))
        raise DatasetError(
            f"got {len(doubled)} doubled {name} values, the first {first!r} "
            f"{doubled[0]['counts']} times (in {', '.join(places[:3])}); expected each once: "
            "rename or remove the others"
        )


def _check_shards(table: pa.Table, shards: Sequence[ShardEntry]) -> None:
    counted = table["shard"].value_counts().to_pylist()
    counts = Counter({each["values"]: each["counts"] for each in counted})
    expected: Counter[str] = Counter()
    for entry in shards:
        expected[entry.name] += entry.clips
    for shard in sorted(counts.keys() | expected.keys()):
        if counts[shard] != expected[shard]:
            raise DatasetError(
                f"shard {shard}: got {counts[shard]} index rows, expected "
                f"{expected[shard]}; give write_dataset each shard once"
            )


def _parquet_bytes(table: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return memoryview(sink.getvalue())
