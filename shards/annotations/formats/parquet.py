"""Parquet: the table of `shards.annotations.event.event_table`."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    Pair,
    event_table,
    grouped,
)
from shards.annotations.format import Content, Format
from shards.annotations.formats.tables import columns, event_of_row


def recognises(content: Content) -> bool:
    """By its first four bytes."""
    return content.data[:4] == b"PAR1"


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """The whole table; zstd."""
    out = io.BytesIO()
    pq.write_table(event_table(list(files)), out, compression="zstd")
    yield out.getvalue()


def read(content: Content) -> list[AnnotatedFile]:
    """Any table with these columns, or with the names of TSV tables."""
    try:
        table = pq.read_table(io.BytesIO(content.data))
    except (pa.ArrowInvalid, OSError) as error:
        raise AnnotationError(
            f"{content.path}: no readable Parquet ({' '.join(str(error).split())}): restore it"
        ) from error
    names = columns(tuple(table.column_names))
    if names is None or "file" not in names:
        raise AnnotationError(
            f"{content.path}: got the columns {', '.join(table.column_names)}; expected file, "
            "onset_s, offset_s and label: rename them"
        )

    def pair(each: tuple[int, dict[str, Any]]) -> Pair:
        number, values = each
        row = {name: _cell(value) for name, value in values.items()}
        return row[names["file"]], event_of_row(row, names, f"{content.path} row {number}")

    return grouped(enumerate(table.to_pylist(), start=1), pair)


def _cell(value: Any) -> str:
    if value is None or value != value:  # pandas writes NaN for none
        return ""
    return repr(value) if isinstance(value, float) else str(value)


PARQUET = Format(
    title="Parquet",
    suffix=".parquet",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset(OPTIONAL_FIELDS),
    holds_extra=True,
)
