"""A whole dataset: the manifest `dataset.json` over its shards and its index file."""

import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shards.columns import read_table
from shards.errors import ShardsError, naming
from shards.index import SCHEMA, IndexRow, rows_to_table
from shards.io.store import Store

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
    rows = sorted(rows, key=lambda row: (row.shard, row.offset))
    shards = sorted((shard for shard in shards if shard.clips), key=lambda shard: shard.name)
    _check_unique(rows)
    _check_shards(rows, shards)
    data = _parquet_bytes(rows_to_table(rows))
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
        totals=totals(rows),
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
    rows = list(rows)
    return Totals(
        clips=len(rows),
        seconds=round(math.fsum(row.duration_s for row in rows), 6),
        subsets=dict(sorted(Counter(row.subset for row in rows).items())),
    )


def _check_unique(rows: Sequence[IndexRow]) -> None:
    for column in ("source_id", "key"):
        counts = Counter(getattr(row, column) for row in rows)
        doubled = [value for value, count in counts.items() if count > 1]
        if doubled:
            places = sorted({row.shard for row in rows if getattr(row, column) == doubled[0]})
            raise DatasetError(
                f"got {len(doubled)} doubled {column} values, the first {doubled[0]!r} "
                f"{counts[doubled[0]]} times (in {', '.join(places[:3])}); expected each once: "
                "rename or remove the others"
            )


def _check_shards(rows: Sequence[IndexRow], shards: Sequence[ShardEntry]) -> None:
    counts = Counter(row.shard for row in rows)
    expected: Counter[str] = Counter()
    for entry in shards:
        expected[entry.name] += entry.clips
    for shard in sorted(counts.keys() | expected.keys()):
        if counts[shard] != expected[shard]:
            raise DatasetError(
                f"shard {shard}: got {counts[shard]} index rows, expected "
                f"{expected[shard]}; give write_dataset each shard once"
            )


def _parquet_bytes(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()
