"""Index rows that are built when they are looked at: of a million clips, columns alone are held."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.index import IndexRow, rows_to_table, table_to_rows

BLOCK = 8192  # rows that are built at a time; so few are kept


class Rows(Sequence[IndexRow]):
    """The clips of an index, as a list of rows that holds Arrow columns of `SCHEMA`."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table
        self._built: list[IndexRow] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @overload
    def __getitem__(self, index: int) -> IndexRow: ...

    @overload
    def __getitem__(self, index: slice) -> "Rows": ...

    def __getitem__(self, index: int | slice) -> "IndexRow | Rows":
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return Rows(self.table.slice(start, max(0, stop - start)))
            return self.taken(np.arange(start, stop, step))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"row {index}: the index has {len(self)} rows")
        if len(self) <= BLOCK:
            return self._all()[place]
        return table_to_rows(self.table.slice(place, 1))[0]

    def __iter__(self) -> Iterator[IndexRow]:
        if len(self) <= BLOCK:
            yield from self._all()
            return
        for start in range(0, len(self), BLOCK):
            yield from table_to_rows(self.table.slice(start, BLOCK))

    def __eq__(self, other: object) -> bool:
        """As a list: the same rows in the same order."""
        if isinstance(other, Rows):
            return bool(self.table.equals(other.table))
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"Rows({len(self)} clips)"

    def taken(self, places: npt.NDArray[np.int64]) -> "Rows":
        """Some of them by their places, in that order."""
        return Rows(self.table.take(pa.array(places, pa.int64())))

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Keep those where the mask `(rows,)` is true.

        Column by column: where nobody else holds these, one of them is held twice and no more.
        """
        if mask.all():
            return
        places, names = pa.array(np.flatnonzero(mask), pa.int64()), self.table.column_names
        left, self.table, self._built = self.table, self.table.schema.empty_table(), None
        schema, columns = left.schema, {}
        for name in names:
            columns[name] = left[name].take(places)
            left = left.drop_columns([name])
            pa.default_memory_pool().release_unused()
        self.table = pa.table(columns, schema=schema)

    def with_columns(self, **columns: pa.Array) -> "Rows":
        """The same rows with other values in some columns."""
        table = self.table
        for name, column in columns.items():
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(place), column)
        return Rows(table)

    def replaced(self, mask: npt.NDArray[np.bool_], by: pa.Table, names: Sequence[str]) -> "Rows":
        """The same rows, where the mask `(rows,)` is true with the values of `by` in columns."""
        places = np.arange(len(self))
        places[mask] = len(self) + np.arange(len(by))
        order = pa.array(places, pa.int64())

        def column(name: str) -> pa.Array:
            both = pa.chunked_array([*self.table[name].chunks, *by[name].chunks])
            return both.combine_chunks().take(order)

        return self.with_columns(**{name: column(name) for name in names})

    def _all(self) -> list[IndexRow]:
        if self._built is None:
            self._built = table_to_rows(self.table)
        return self._built


def table_of(rows: Iterable[IndexRow] | pa.Table) -> pa.Table:
    """Rows as Arrow columns of `SCHEMA`; those that have columns are not built."""
    if isinstance(rows, pa.Table):
        return rows
    return rows.table if isinstance(rows, Rows) else rows_to_table(list(rows))
