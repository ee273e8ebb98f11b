"""Several datasets as one: their rows under names that differ, their shards where they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from shards.clip import escape_key
from shards.columns import one_piece, texts
from shards.errors import Faults, told
from shards.index import SCHEMA, IndexRow
from shards.label_columns import Coded
from shards.locations import shard_names
from shards.manifest import DatasetError, ShardEntry
from shards.rows import Rows, table_of


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merged dataset consists of."""

    rows: Rows
    shards: tuple[ShardEntry, ...]
    classes: tuple[str, ...] | None
    same_audio: int  # clips whose bytes another clip has too


@dataclass(frozen=True, kw_only=True)
class MergeInput:
    """One dataset to merge; every shard has an absolute URL, or one relative to the result's."""

    name: str  # what errors call it
    rows: Sequence[IndexRow]
    shards: Sequence[ShardEntry]
    classes: tuple[str, ...] | None
    prefix: str = ""  # goes before the id of each of its clips


def merge(inputs: Sequence[MergeInput]) -> Merged:
    """All clips of all inputs, one input after the other; classes in the same order.

    A tar that several inputs use, such as two selections of one dataset, is named once.

    Raises:
        DatasetError: two inputs have a clip of the same id, or the same tar with other bytes.
    """
    tables = [_prefixed(table_of(each.rows), each.prefix) for each in inputs]
    _check_ids(inputs, tables)
    entries = _unique_tars(entry for each in inputs for entry in each.shards)
    names = dict(zip(entries, shard_names(_plain_names(entries)), strict=True))
    for number, (each, table) in enumerate(zip(inputs, tables, strict=True)):
        url_of = {entry.name: entry.url for entry in each.shards}
        shards = Coded.of(table["shard"])
        renamed = pa.array([names[str(url_of[shard])] for shard in shards.names], pa.string())
        column = renamed.take(pa.array(shards.codes))
        tables[number] = Rows(table).with_columns(shard=column).table
    table = pa.concat_tables([each.cast(SCHEMA) for each in tables])
    counts = {each["values"]: each["counts"] for each in table["shard"].value_counts().to_pylist()}
    found = [
        replace(entry, name=names[url], clips=counts.get(names[url], 0))
        for url, entry in entries.items()
    ]
    labelled = [each.classes for each in inputs if each.classes is not None]
    return Merged(
        rows=Rows(table),
        shards=tuple(found),
        classes=tuple(dict.fromkeys(name for classes in labelled for name in classes))
        if labelled
        else None,
        same_audio=len(table) - pc.count_distinct(table["checksum"]).as_py(),
    )


def _prefixed(table: pa.Table, prefix: str) -> pa.Table:
    if not prefix:
        return table
    ids, recordings = (
        pc.binary_join_element_wise(prefix, one_piece(table[name]), "")
        for name in ("source_id", "recording")
    )
    keys = pa.array(map(escape_key, texts(ids)), pa.string(), size=len(ids))
    return Rows(table).with_columns(source_id=ids, recording=recordings, key=keys).table


def _check_ids(inputs: Sequence[MergeInput], tables: Sequence[pa.Table]) -> None:
    ids = pa.chunked_array([chunk for each in tables for chunk in each["source_id"].chunks])
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    doubled: list[tuple[str, str, str]] = []
    for number, table in enumerate(tables):
        for other in range(number):
            both = pc.is_in(table["source_id"], value_set=tables[other]["source_id"])
            shared = table["source_id"].filter(both).to_pylist()
            doubled += [(each, inputs[other].name, inputs[number].name) for each in shared]
    if doubled:
        names = [f"{source_id!r} in {first} and {second}" for source_id, first, second in doubled]
        raise DatasetError(
            f"{len(doubled)} clips are in several datasets: {told(names)}; give each dataset a "
            "prefix with --prefixes, or filter one of them first"
        )


def _unique_tars(shards: Iterable[ShardEntry]) -> dict[str, ShardEntry]:
    found: dict[str, ShardEntry] = {}
    faults = Faults(DatasetError)
    for entry in shards:
        other = found.setdefault(str(entry.url), entry)
        with faults.noted():
            if other.sha256 != entry.sha256:
                raise DatasetError(
                    f"{entry.url}: the datasets name it with other bytes ({other.sha256[:12]} and "
                    f"{entry.sha256[:12]}); run pmam verify on both"
                )
    faults.check()
    return found


def _plain_names(entries: Mapping[str, ShardEntry]) -> list[str]:
    return [entry.name for entry in entries.values()]
