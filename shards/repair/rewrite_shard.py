"""A damaged shard written anew from its clips that are whole."""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from shards.errors import naming
from shards.index import IndexRow
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER, ShardEntry
from shards.packing.plan import BLOCK_BYTES
from shards.packing.tar_scan import TarError, scan_members

DAMAGED_FOLDER = "damaged"  # where replaced tars go, under names that no reader takes for shards


def is_whole(store: Store, name: str, row: IndexRow) -> bool:
    """Whether the bytes of a clip are there and match the index, whatever is around them."""
    try:
        data = store.read(name, row.offset, row.size)
    except OSError:
        return False
    return hashlib.sha256(data).hexdigest() == row.checksum


def rewrite_shard(
    store: Store, at: Store, name: str, shard: ShardEntry, rows: Sequence[IndexRow]
) -> tuple[ShardEntry, list[IndexRow]]:
    """Write a shard's whole clips into a new tar of the dataset; its entry and its rows.

    Args:
        store: of the dataset.
        at: where the damaged tar lies; it stays as it is.
        name: of the damaged tar there.
        shard: its line in the manifest.
        rows: the clips to take.
    """
    described = _json_members(at, name)
    moved = []
    with naming(tempfile.gettempdir()), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shard.tar"
        with (
            path.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for row in sorted(rows, key=lambda row: row.offset):
                offset = file.tell() + BLOCK_BYTES
                _add(tar, f"{row.key}.{row.codec}", at.read(name, row.offset, row.size))
                description = described.get(f"{row.key}.json")
                if description is None or description.get("id") != row.source_id:
                    description = _description(row)
                _add(tar, f"{row.key}.json", _json_bytes(description))
                moved.append(replace(row, offset=offset))
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        stem = PurePosixPath(shard.name).stem
        new = store.publish(f"{SHARD_FOLDER}/{stem}-repaired-{digest[:8]}.tar", path)
    entry = ShardEntry(name=new, size=len(data), sha256=digest, clips=len(moved))
    return entry, [replace(row, shard=new) for row in moved]


def put_aside(store: Store, name: str) -> str | None:
    """Move a replaced tar out of the readers' way; the new name, None where there is none."""
    if store.size(name) is None:
        return None
    new = f"{DAMAGED_FOLDER}/{PurePosixPath(name).name}.damaged"
    store.write(new, store.read(name))
    store.delete(name)
    return new


def _json_members(store: Store, name: str) -> dict[str, dict[str, Any]]:
    """The descriptions in a damaged tar, as far as it can be read."""
    found: dict[str, dict[str, Any]] = {}
    if store.size(name) is None:
        return found
    with store.open(name) as file:
        try:
            for member in scan_members(cast(BinaryIO, file), name):
                if member.name.endswith(".json"):
                    file.seek(member.offset)
                    values = _parsed(bytes(file.read(member.size)))
                    found |= {member.name: values} if values else {}
        except TarError:
            pass  # what comes after is described from the index
    return found


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _description(row: IndexRow) -> dict[str, Any]:
    """A clip's JSON from its index row, in the writer's form."""
    labels = ("subset", "recording", "fold", "weak", "meta")
    source = ("codec", "sample_rate_hz", "num_samples", "channels")
    return {
        "id": row.source_id,
        **{name: getattr(row, name) for name in labels},
        "events": None if row.events is None else [asdict(event) for event in row.events],
        "source": {"sha256": row.checksum, **{name: getattr(row, name) for name in source}},
    }


def _json_bytes(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, ensure_ascii=False).encode()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    header = tarfile.TarInfo(name)
    header.size = len(data)
    tar.addfile(header, io.BytesIO(data))
