"""Several datasets as one: their rows under names that differ, their shards where they are."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shards.clip import escape_key
from shards.errors import Faults, told
from shards.index import IndexRow
from shards.locations import shard_names
from shards.manifest import DatasetError, ShardEntry


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merged dataset consists of."""

    rows: tuple[IndexRow, ...]
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
    prefixed = [[_prefixed(row, each.prefix) for row in each.rows] for each in inputs]
    _check_ids(inputs, prefixed)
    entries = _unique_tars(entry for each in inputs for entry in each.shards)
    names = dict(zip(entries, shard_names(_plain_names(entries)), strict=True))
    rows: list[IndexRow] = []
    for each, of_input in zip(inputs, prefixed, strict=True):
        url_of = {entry.name: entry.url for entry in each.shards}
        rows += [replace(row, shard=names[str(url_of[row.shard])]) for row in of_input]
    counts = Counter(row.shard for row in rows)
    shards = [
        replace(entry, name=names[url], clips=counts[names[url]]) for url, entry in entries.items()
    ]
    labelled = [each.classes for each in inputs if each.classes is not None]
    return Merged(
        rows=tuple(rows),
        shards=tuple(shards),
        classes=tuple(dict.fromkeys(name for classes in labelled for name in classes))
        if labelled
        else None,
        same_audio=len(rows) - len({row.checksum for row in rows}),
    )


def _prefixed(row: IndexRow, prefix: str) -> IndexRow:
    if not prefix:
        return row
    source_id = f"{prefix}{row.source_id}"
    recording = None if row.recording is None else f"{prefix}{row.recording}"
    return replace(row, source_id=source_id, key=escape_key(source_id), recording=recording)


def _check_ids(inputs: Sequence[MergeInput], rows: Sequence[Sequence[IndexRow]]) -> None:
    owner: dict[str, int] = {}
    doubled: list[tuple[str, str, str]] = []
    for number, of_input in enumerate(rows):
        for row in of_input:
            other = owner.setdefault(row.source_id, number)
            if other != number:
                doubled.append((row.source_id, inputs[other].name, inputs[number].name))
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
