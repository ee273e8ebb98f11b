"""What a dataset is, from its manifest and index, or where these are lost from its tars."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from shards.editing.foreign import index_shard
from shards.editing.foreign_rules import ForeignError, ForeignSettings
from shards.editing.foreign_samples import split_name
from shards.editing.relabel import labels_of
from shards.index import IndexRow, table_to_rows
from shards.io.hashing import ForwardFile
from shards.io.store import Store
from shards.manifest import (
    SHARD_FOLDER,
    DatasetError,
    Manifest,
    ShardEntry,
    read_index,
    read_manifest,
    totals,
)
from shards.packing.tar_scan import TarError, scan_members
from shards.repair.remembered import Remembered
from shards.repair.verify_shard import one_line


@dataclass(frozen=True, kw_only=True)
class Description:
    """All that a manifest and an index hold, and what had to be done to know it."""

    name: str
    licence: str
    classes: tuple[str, ...] | None
    shards: tuple[ShardEntry, ...]
    rows: tuple[IndexRow, ...]
    rebuilt: tuple[str, ...] = ()  # empty = as manifest and index say
    lost: tuple[str, ...] = ()  # clips that were there, of which nothing is found
    promised: bool = True  # whether a manifest says what tars were like when they were whole


def describe_dataset(
    store: Store, name: str, licence: str, on_step: Callable[[str], object]
) -> Description:
    """The dataset as its manifest and index say, or as its tars say.

    Args:
        store: of the dataset.
        name: where the manifest is lost.
        licence: where the manifest is lost.
        on_step: called with a word on what is looked at.

    Raises:
        DatasetError: the index is lost, and held more than the tars do; or no tar is readable.
    """
    manifest: Manifest | None = None
    try:
        manifest = read_manifest(store)
        rows = table_to_rows(read_index(store, manifest.index))
        if twice := [key for key, n in Counter(row.key for row in rows).items() if n > 1]:
            raise DatasetError(f"the index has the key {twice[0]!r} twice")
    except (DatasetError, OSError) as error:
        return _from_tars(store, manifest, one_line(error), name, licence, on_step)
    wrong = _inconsistent(manifest, rows)
    return Description(
        name=manifest.name,
        licence=manifest.licence,
        classes=_with(manifest.classes, rows),
        shards=manifest.shards,
        rows=tuple(rows),
        rebuilt=(f"the manifest follows the index ({wrong})",) if wrong else (),
    )


def _inconsistent(manifest: Manifest, rows: list[IndexRow]) -> str | None:
    if totals(rows) != manifest.totals:
        return "other totals"
    if Counter({s.name: s.clips for s in manifest.shards}) != Counter(row.shard for row in rows):
        return "other numbers of clips in shards"
    return "labels without a class" if labels_of(rows) - set(manifest.classes or ()) else None


def _with(classes: tuple[str, ...] | None, rows: list[IndexRow]) -> tuple[str, ...] | None:
    """The classes, and after them labels that are not among them."""
    labelled = any(row.weak is not None or row.events is not None for row in rows)
    if classes is None and not labelled:
        return None
    return tuple(dict.fromkeys([*(classes or ()), *sorted(labels_of(rows))]))


def _from_tars(
    store: Store,
    manifest: Manifest | None,
    reason: str,
    name: str,
    licence: str,
    on_step: Callable[[str], object],
) -> Description:
    if manifest is not None and any(shard.url is not None for shard in manifest.shards):
        raise DatasetError(
            f"{store.root}: {reason}; the index alone held its labels: make the dataset again "
            "with pmam reindex"
        )
    present = [tar for tar in store.names(SHARD_FOLDER) if tar.endswith(".tar")]
    remembered = Remembered.of(store)
    if manifest is None and remembered.index is not None:
        return _from_index(store, remembered.index, present, reason, name, licence)
    known = dict.fromkeys([*present, *remembered.tars])
    if manifest is not None:
        known = dict.fromkeys(shard.name for shard in manifest.shards)
    counts = {} if manifest is None else {shard.name: shard.clips for shard in manifest.shards}
    rows: list[IndexRow] = []
    shards: list[ShardEntry] = []
    lost: list[str] = []
    notes = [f"manifest and index rebuilt from the tars ({reason})"]
    for tar in known:
        on_step(tar)
        of_tar: list[IndexRow] = []
        trouble = ["missing"]
        if tar in present:
            entry, of_tar, trouble = _packed_rows(store, tar)
            shards.append(entry)
        notes += [f"{tar}: {what}" for what in trouble]
        rows += of_tar
        lost += _lost(tar, of_tar, trouble, remembered, counts.get(tar))
    if not rows:
        raise DatasetError(
            f"{store.root}: {reason}; and no tar in {SHARD_FOLDER}/ has clips as pmam pack writes "
            "them: pack the source again, or index foreign tars with pmam reindex foreign"
        )
    return Description(
        name=name if manifest is None else manifest.name,
        licence=licence if manifest is None else manifest.licence,
        classes=_with(None if manifest is None else manifest.classes, rows),
        shards=tuple(shards),
        rows=tuple(rows),
        rebuilt=tuple(notes),
        lost=tuple(lost),
        promised=manifest is not None,
    )


def _lost(
    tar: str,
    rows: list[IndexRow],
    trouble: list[str],
    remembered: Remembered,
    count: int | None,
) -> list[str]:
    """The clips that a tar had and has no more, by their ids where anything tells them."""
    found = {row.source_id for row in rows}
    ids = remembered.tars.get(tar)
    if ids is not None:
        return [source_id for source_id in ids if source_id not in found]
    if count is not None:
        gone = count - len(rows)
        return [f"{tar}: {gone} clips of unknown ids"] if gone > 0 else []
    return [f"{tar}: clips of unknown ids ({what})" for what in trouble]


def _from_index(
    store: Store, rows: list[IndexRow], present: list[str], reason: str, name: str, licence: str
) -> Description:
    """The dataset as its one index says, whose manifest is lost."""
    shards = []
    counts = Counter(row.shard for row in rows)
    for tar in sorted(counts.keys() & set(present)):
        with store.open(tar) as file:
            hashed = ForwardFile(cast(BinaryIO, file))
            hashed.drain()
        digest = hashed.sha256.hexdigest()
        shards.append(ShardEntry(name=tar, size=hashed.size, sha256=digest, clips=counts[tar]))
    if not shards:
        raise DatasetError(
            f"{store.root}: {reason}; and none of the tars that the index names is in "
            f"{SHARD_FOLDER}/: make the dataset again with pmam pack or pmam reindex"
        )
    return Description(
        name=name,
        licence=licence,
        classes=_with(None, rows),
        shards=tuple(shards),
        rows=tuple(row for row in rows if row.shard in present),
        rebuilt=(f"the manifest rebuilt from index and tars ({reason})",),
        lost=tuple(row.source_id for row in rows if row.shard not in present),
        promised=False,
    )


def _packed_rows(store: Store, tar: str) -> tuple[ShardEntry, list[IndexRow], list[str]]:
    """A tar's line in the manifest, its clips that have their JSON, and what is wrong with it."""
    trouble: list[str] = []
    described: set[str] = set()
    with store.open(tar) as file:
        try:
            for member in scan_members(cast(BinaryIO, file), tar):
                key, suffix = split_name(member.name)
                described |= {key} if suffix == "json" else set()
        except TarError:
            pass  # told below, where the tar is read again
    settings = ForeignSettings(on_error="skip")
    with store.open(tar) as file:
        try:
            found = index_shard(
                cast(BinaryIO, file), tar, tar, settings, lambda error: trouble.append(str(error))
            )
        except ForeignError as error:
            return ShardEntry(name=tar, size=0, sha256="", clips=0), [], [str(error)]
    trouble += [f"{entry.source_id}: {entry.reason}" for entry in found.skipped]
    rows = [row for row in found.rows if row.key in described]
    trouble += [f"{row.source_id}: no JSON" for row in found.rows if row.key not in described]
    return replace(found.entry, clips=len(rows)), rows, trouble
