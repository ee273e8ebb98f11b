"""The index keeps what it is given; its columns are the contract's."""

from dataclasses import fields

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.clip import Event
from shards.index import SCHEMA, IndexRow, rows_to_table, table_to_rows

text = st.text(st.characters(codec="utf-8"), max_size=8)
seconds = st.floats(0, 1e6)
counts = st.integers(0, 2**40)
rows = st.builds(
    IndexRow,
    key=text,
    source_id=text,
    shard=text,
    offset=counts,
    size=counts,
    codec=st.sampled_from(["flac", "wav"]),
    sample_rate_hz=st.integers(1, 192000),
    num_samples=counts,
    channels=st.integers(1, 8),
    checksum=text,
    crc32=st.integers(0, 2**32 - 1),
    subset=text,
    recording=st.none() | text,
    fold=st.none() | st.integers(-5, 50),
    weak=st.none() | st.lists(text, max_size=3).map(tuple),
    events=st.none()
    | st.lists(st.builds(Event, onset_s=seconds, offset_s=seconds, label=text), max_size=3).map(
        tuple
    ),
    meta=st.dictionaries(text, st.none() | text | st.integers(-9, 9) | seconds, max_size=3),
)


@settings(deadline=None)  # the first table imports half of pyarrow
@given(st.lists(rows, max_size=4))
def test_rows_survive_the_table(several: list[IndexRow]) -> None:
    assert table_to_rows(rows_to_table(several)) == several


@given(rows)
def test_rows_survive_json_values(row: IndexRow) -> None:
    assert IndexRow.from_dict(row.to_dict()) == row


def test_columns_are_the_contract() -> None:
    columns = (
        "key source_id shard offset size codec sample_rate_hz num_samples channels checksum "
        "crc32 subset recording fold weak events meta"
    )
    assert " ".join(SCHEMA.names) == columns
    assert " ".join(field.name for field in fields(IndexRow)) == columns
    event = SCHEMA.field("events").type.value_type
    assert [(part.name, part.type) for part in event] == [
        ("onset_s", pa.float64()),
        ("offset_s", pa.float64()),
        ("label", pa.string()),
    ]
