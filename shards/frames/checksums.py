"""Checksums inside a file of frames, as Arrow has none: of the spec, of the keys, of each row.

They stand in Arrow's own metadata: that of the schema has one of the other entries, that of each
batch one of its keys and counts, and one of each row, which is compared when the row is first
read. Files of before have none, and are read without.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from isal import isal_zlib

from shards.errors import FrameError

SPEC, KEYS, ROWS = b"spec_crc32", b"keys_crc32", b"rows_crc32"


def with_checksum(metadata: Mapping[str, str]) -> dict[bytes, bytes]:
    """The entries of a schema, and their checksum."""
    entries = {name.encode(): text.encode() for name, text in metadata.items()}
    return {**entries, SPEC: _of_entries(entries)}


def checked_entries(metadata: Mapping[bytes, bytes]) -> tuple[dict[bytes, bytes], bool]:
    """The entries without their checksum, and whether there was one.

    Raises:
        FrameError: it is another one.
    """
    entries = dict(metadata)
    said = entries.pop(SPEC, None)
    if said is not None and said != _of_entries(entries):
        raise FrameError("its metadata does not match its checksum")
    return entries, said is not None


def of_batch(batch: Any) -> dict[bytes, bytes]:
    """The metadata of a batch of rows."""
    sums = b"".join(struct.pack("<I", of_row(batch, row)) for row in range(batch.num_rows))
    return {KEYS: _of_keys(batch), ROWS: sums.hex().encode()}


def check_keys(batch: Any, metadata: Mapping[bytes, bytes] | None) -> None:
    """Raise `FrameError` where keys or counts of a batch, or the place of its rows, are others."""
    found = metadata or {}
    if found.get(KEYS) != _of_keys(batch) or len(found.get(ROWS, b"")) != 8 * batch.num_rows:
        raise FrameError("its keys do not match their checksum")


def check_row(batch: Any, row: int, metadata: Mapping[bytes, bytes] | None) -> None:
    """Raise `FrameError` where a row is another than was written."""
    said = (metadata or {}).get(ROWS, b"")[8 * row : 8 * row + 8]
    if said != struct.pack("<I", of_row(batch, row)).hex().encode():
        raise FrameError("it does not match its checksum")


def of_row(batch: Any, row: int) -> int:
    """Of a row's key, count, values and positions."""
    key, count, values, positions = (column[row] for column in batch.columns)
    found = isal_zlib.crc32(f"{key.as_py()}\0{count.as_py()}\0".encode())
    found = isal_zlib.crc32(values.as_buffer(), found)
    if positions.is_valid:
        found = isal_zlib.crc32(np.asarray(positions.values, "<i4").tobytes(), found)
    return int(found)


def _of_keys(batch: Any) -> bytes:
    pairs = [batch.column(place).to_pylist() for place in (0, 1)]
    return _text(isal_zlib.crc32(json.dumps(pairs).encode()))


def _of_entries(entries: Mapping[bytes, bytes]) -> bytes:
    held = sorted((name.decode(), text.decode()) for name, text in entries.items())
    return _text(isal_zlib.crc32(json.dumps(held).encode()))


def _text(checksum: int) -> bytes:
    return f"{checksum:08x}".encode()
