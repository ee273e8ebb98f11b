"""Rebuild what a damaged dataset still tells: manifest, index and damaged shards."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from shards.index import IndexRow
from shards.io.store import Store
from shards.locations import Places, Resolver, local_only
from shards.manifest import MANIFEST, DatasetError, ShardEntry, write_dataset
from shards.repair.rebuild_index import describe_dataset
from shards.repair.rewrite_shard import is_whole, put_aside, rewrite_shard
from shards.repair.verify_shard import verify_shard


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done, one line each, and which clips are lost."""

    done: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()  # ids of clips whose audio is damaged or gone
    dropped: bool = False  # whether a new index leaves the lost clips out


def repair(
    store: Store,
    *,
    drop: bool = False,
    resolve: Resolver = local_only,
    name: str = "dataset",
    licence: str = "unknown",
    on_step: Callable[[str], object] = lambda _: None,
) -> Repair:
    """Rebuild a dataset in its place.

    A manifest or index that is lost or damaged is rebuilt from the tars and their JSON
    members, with the labels that were packed. A shard with a problem is written anew, inside
    the dataset, from its clips whose bytes still match the index; its old file goes to
    `damaged/`. Tars outside the dataset are read alone. Clips that are lost are never left out
    without `drop`: their shard then stays as it is, and where the manifest or the index is lost
    too, nothing is written. Which clips there were is known by the index, or by the parts that
    packing left.

    Args:
        store: of the dataset.
        drop: leave lost clips out.
        resolve: opens the folders that other shards lie in.
        name: of the dataset, where its manifest is lost.
        licence: of the recordings, where the manifest is lost.
        on_step: called with a word on what is looked at.

    Raises:
        DatasetError: there is nothing to rebuild from.
    """
    found = describe_dataset(store, name, licence, on_step)
    places = Places(store, found.shards, resolve)
    by_shard: dict[str, list[IndexRow]] = {shard.name: [] for shard in found.shards}
    for row in found.rows:
        by_shard.setdefault(row.shard, []).append(row)
    checked = []
    lost = list(found.lost)
    for shard in found.shards:
        on_step(shard.name)
        of_shard = by_shard.pop(shard.name)
        at, at_name = places(shard.name)
        sound = not verify_shard(at, shard, of_shard, 0.0, at_name)
        whole = of_shard if sound else [row for row in of_shard if is_whole(at, at_name, row)]
        lost += [row.source_id for row in of_shard if row not in whole]
        checked.append((shard, of_shard, whole, sound))
    orphans = [row for of_shard in by_shard.values() for row in of_shard]
    lost += [row.source_id for row in orphans]
    # A new manifest would call the tars whole as they are.
    if not drop and (orphans or found.lost or (lost and not found.promised)):
        return Repair(lost=tuple(lost))
    done = list(found.rebuilt)
    rows: list[IndexRow] = []
    shards: list[ShardEntry] = []
    replaced: list[str] = []
    for shard, of_shard, whole, sound in checked:
        if sound or (len(whole) < len(of_shard) and not drop):
            rows += of_shard
            shards.append(replace(shard, clips=len(of_shard)))
            continue
        if whole:
            entry, moved = rewrite_shard(store, *places(shard.name), shard, whole)
            shards.append(entry)
            rows += moved
        replaced += [shard.name] if shard.url is None else []
        done.append(f"{shard.name}: {len(whole)} of its {len(of_shard)} clips written anew")
    if not rows:
        raise DatasetError(f"{store.root}: no clip is whole; pack the source again")
    if done or (drop and lost):
        write_dataset(
            store,
            rows,
            name=found.name,
            licence=found.licence,
            classes=found.classes,
            shards=shards,
        )
        done.append(f"{MANIFEST} and index written for {len(rows)} clips")
    for old in replaced:  # after the manifest that no longer names them
        if new := put_aside(store, old):
            done.append(f"{old}: the damaged file is now {new}")
    return Repair(done=tuple(done), lost=tuple(lost), dropped=drop and bool(lost))
