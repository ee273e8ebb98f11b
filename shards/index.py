"""What a dataset holds: one index row per clip, as a dataclass and as Arrow columns."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from shards.clip import Event, events_from_dicts

_EVENT = pa.struct(
    [
        pa.field("onset_s", pa.float64(), nullable=False),
        pa.field("offset_s", pa.float64(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("codec", pa.string(), nullable=False),
        pa.field("sample_rate_hz", pa.int32(), nullable=False),
        pa.field("num_samples", pa.int64(), nullable=False),
        pa.field("channels", pa.int32(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),
        pa.field("subset", pa.string(), nullable=False),
        pa.field("recording", pa.string()),
        pa.field("fold", pa.int32()),
        pa.field("weak", pa.list_(pa.field("label", pa.string(), nullable=False))),
        pa.field("events", pa.list_(pa.field("event", _EVENT, nullable=False))),
        pa.field("meta", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class IndexRow:
    """One clip of a dataset: where its audio lies, what it is, and its labels.

    `offset` and `size` are the byte range of the audio inside the tar `shard`, `checksum` is
    the sha256 of these bytes, which says what they are; `crc32`, which takes a third of the time,
    is compared at every read. `num_samples` counts per channel.
    """

    key: str
    source_id: str
    shard: str
    offset: int
    size: int
    codec: str
    sample_rate_hz: int
    num_samples: int
    channels: int
    checksum: str
    crc32: int
    subset: str
    recording: str | None
    fold: int | None
    weak: tuple[str, ...] | None
    events: tuple[Event, ...] | None
    meta: Mapping[str, Any]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate_hz

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "IndexRow":
        """The row that `to_dict` described."""
        weak = values["weak"]
        return cls(
            **{
                **values,
                "weak": None if weak is None else tuple(weak),
                "events": events_from_dicts(values["events"]),
            }
        )


class Listed(NamedTuple):
    """The part of an `IndexRow` that planning needs, in less than half the memory."""

    key: str
    source_id: str
    shard: str
    subset: str
    sample_rate_hz: int


def rows_to_table(rows: Sequence[IndexRow]) -> pa.Table:
    """Rows as Arrow columns of `SCHEMA`."""
    columns: dict[str, list[Any]] = {
        name: [getattr(row, name) for row in rows] for name in SCHEMA.names
    }
    columns["events"] = [
        None if events is None else [asdict(event) for event in events]
        for events in columns["events"]
    ]
    columns["meta"] = [_json_text(meta) for meta in columns["meta"]]
    return pa.table(columns, schema=SCHEMA)


def table_to_rows(table: pa.Table) -> list[IndexRow]:
    """Arrow columns of `SCHEMA` as rows."""
    columns = [table[name].to_pylist() for name in SCHEMA.names]
    return [
        IndexRow.from_dict({**values, "meta": json.loads(values["meta"])})
        for values in (
            dict(zip(SCHEMA.names, row, strict=True)) for row in zip(*columns, strict=True)
        )
    ]


def table_to_listed(table: pa.Table) -> list[Listed]:
    """Arrow columns of `SCHEMA`, less those that a list leaves out."""
    columns = (_shared(table[name]) for name in Listed._fields)
    return list(map(Listed._make, zip(*columns, strict=True)))


def _shared(column: pa.ChunkedArray) -> Iterable[Any]:
    """The values, with one object for all that are equal."""
    encoded = column.combine_chunks().dictionary_encode()
    values = encoded.dictionary.to_pylist()
    return map(values.__getitem__, encoded.indices.to_pylist())


def _json_text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False)
