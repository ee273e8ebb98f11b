"""Compare a dataset with what it says: bytes with the index, the index with the manifest."""

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from shards.errors import SettingsError, ShardsError
from shards.index import IndexRow, table_to_rows
from shards.io.store import Store
from shards.locations import Places, Resolver, local_only
from shards.manifest import (
    INDEX_FOLDER,
    SHARD_FOLDER,
    DatasetError,
    Manifest,
    ShardEntry,
    read_index,
    read_manifest,
    totals,
)
from shards.repair.remembered import Remembered
from shards.repair.verify_shard import WARNING, Problem, one_line, verify_shard

__all__ = ["Decode", "Problem", "Report", "verify", "verify_shard"]

Decode = Literal["all", "none"] | float


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was looked at, every problem found, and what a person may want to know besides."""

    problems: tuple[Problem, ...]
    clips: int
    shards: int
    warnings: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(
    store: Store,
    decode: Decode = "all",
    on_shard: Callable[[ShardEntry], None] | None = None,
    resolve: Resolver = local_only,
    workers: int | None = None,
    elsewhere: Callable[[Sequence[str]], Iterable[Sequence[Problem]]] | None = None,
) -> Report:
    """Read the whole dataset once and compare it with its index and manifest.

    Where the index cannot be read, that is told, and the tars are compared with the manifest and
    with themselves; where the manifest cannot be read, with the index if just one is left.

    Args:
        store: of the dataset.
        decode: for which share of the clips the audio is decoded too; which ones is a function
            of their keys.
        on_shard: called after each shard, in their order.
        resolve: opens the folders that other shards lie in.
        workers: shards that are read at once; by default one per core. Each holds one clip.
        elsewhere: checks shards by other processes, each of which calls a `ShardChecker`: gets
            their names, gives what is wrong with each, in the same order.
    """
    share_of(decode)
    known = _known(store)
    manifest, rows, problems = known.manifest, known.rows, list(known.problems)
    if manifest is not None:
        if rows is not None:
            problems += _manifest_problems(manifest, rows)
        problems += _foreign_files(store, manifest, Places(store, manifest.shards, resolve))
    names = [shard.name for shard in known.shards]
    # hashing and decoding leave Python's lock
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        if elsewhere is None:
            check = ShardChecker(store, decode, resolve, known=known)
            checked: Iterable[Sequence[Problem]] = pool.map(check, names)
        else:
            checked = elsewhere(names)
        for shard, found in zip(known.shards, checked, strict=True):
            problems += found
            if on_shard is not None:
                on_shard(shard)
    return Report(
        problems=tuple(problem for problem in problems if problem.kind != WARNING),
        clips=sum(shard.clips for shard in known.shards) if rows is None else len(rows),
        shards=len(known.shards),
        warnings=tuple(problem for problem in problems if problem.kind == WARNING),
    )


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What manifest and index say; None of each that cannot be read, and why."""

    manifest: Manifest | None
    rows: Sequence[IndexRow] | None
    shards: tuple[ShardEntry, ...]  # without a manifest: names, and no sizes
    problems: tuple[Problem, ...]


def _known(store: Store) -> _Known:
    try:
        manifest = read_manifest(store)
    except DatasetError as error:
        return _without_manifest(store, one_line(error))
    rows, problems = _rows(store, manifest)
    return _Known(manifest=manifest, rows=rows, shards=manifest.shards, problems=tuple(problems))


def _without_manifest(store: Store, reason: str) -> _Known:
    """The tars that are there, and those that the index names if just one is left."""
    rows = Remembered.of(store).index
    counts = Counter(row.shard for row in rows or ())
    names = {name for name in store.names(SHARD_FOLDER) if name.endswith(".tar")} | counts.keys()
    shards = [ShardEntry(name=n, size=0, sha256="", clips=counts[n]) for n in sorted(names)]
    if shards:
        beside = "with the index" if rows is not None else "with themselves, for want of an index"
        reason += f"; tars are compared {beside}: verify --repair builds the manifest anew"
    problem = Problem("manifest", store.root, reason)
    return _Known(manifest=None, rows=rows, shards=tuple(shards), problems=(problem,))


class ShardChecker:
    """Compares single shards with what the dataset says of them.

    Args:
        store: of the dataset.
        decode: as for `verify`.
        resolve: opens the folders that other shards lie in.
        known: what its manifest and index say, where they were read already.
    """

    def __init__(
        self,
        store: Store,
        decode: Decode,
        resolve: Resolver,
        *,
        known: _Known | None = None,
    ) -> None:
        known = _known(store) if known is None else known
        rows = known.rows
        self.share, self.promised = share_of(decode), known.manifest is not None
        self.places = Places(store, known.shards, resolve)
        self.entries = {shard.name: shard for shard in known.shards}
        self.rows: dict[str, list[IndexRow]] | None = None
        if rows is not None:
            self.rows = {name: [] for name in self.entries}
            for row in rows:
                self.rows.get(row.shard, []).append(row)

    def __call__(self, name: str) -> list[Problem]:
        """What is wrong with a shard."""
        try:
            at, file = self.places(name)
        except (ValueError, OSError) as error:
            return [Problem("missing", name, one_line(error))]
        rows = None if self.rows is None else self.rows[name]
        return verify_shard(at, self.entries[name], rows, self.share, file, promised=self.promised)


def _rows(store: Store, manifest: Manifest) -> tuple[Sequence[IndexRow] | None, list[Problem]]:
    """The rows of the index; None, and why, where it cannot be read."""
    try:
        return table_to_rows(read_index(store, manifest.index)), []
    except (ShardsError, OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
        what = f"{one_line(error)}; shards are checked without it: --repair builds it anew"
        return None, [Problem("index", manifest.index.name, what)]


def _manifest_problems(manifest: Manifest, rows: Sequence[IndexRow]) -> Iterator[Problem]:
    for column, values in (
        ("key", [row.key for row in rows]),
        ("source_id", [row.source_id for row in rows]),
    ):
        for value, count in Counter(values).items():
            if count > 1:
                yield Problem("index", value, f"the same {column} {count} times")
    if (found := totals(rows)) != manifest.totals:
        yield Problem("manifest", "totals", f"got {manifest.totals}, the index has {found}")
    yield from _shard_count_problems(
        {shard.name: shard.clips for shard in manifest.shards}, Counter(row.shard for row in rows)
    )
    labels = {label for row in rows for label in row.weak or ()}
    labels |= {event.label for row in rows for event in row.events or ()}
    for label in sorted(labels - set(manifest.classes or ())):
        yield Problem("manifest", label, "the index has this label, the classes have not")


def _shard_count_problems(
    promised: Mapping[str, int], found: Mapping[str, int]
) -> Iterator[Problem]:
    for name in sorted(promised.keys() | found.keys()):
        if name not in promised:
            what = f"{found[name]} index rows lie in it, but the manifest does not name it"
            yield Problem("manifest", name, what)
        elif promised[name] != found.get(name, 0):
            what = f"got {promised[name]} clips, the index has {found.get(name, 0)}"
            yield Problem("manifest", name, what)


def _foreign_files(store: Store, manifest: Manifest, places: Places) -> Iterator[Problem]:
    known = {manifest.index.name}
    for shard in manifest.shards:
        with contextlib.suppress(ValueError, OSError):  # told where the shard is read
            folder, name = places(shard.name)
            known.add(folder.path(name).removeprefix(f"{store.root}/"))
    for name in store.names():
        looks_ours = name.endswith(".tar") or name.startswith(f"{INDEX_FOLDER}/")
        if looks_ours and name not in known:
            yield Problem("foreign", name, "the manifest does not name this file")


def share_of(decode: Decode) -> float:
    """The share of the clips that are decoded.

    Raises:
        SettingsError: it is none.
    """
    share = {"all": 1.0, "none": 0.0}.get(decode) if isinstance(decode, str) else float(decode)
    if share is None or not 0 <= share <= 1:
        raise SettingsError(f"got decode={decode!r}; expected 'all', 'none' or a share from 0 to 1")
    return share
