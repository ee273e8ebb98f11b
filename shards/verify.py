"""Compare a dataset with what it says: bytes with the index, the index with the manifest."""

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Literal, cast

from shards import audio
from shards.audio import AudioError
from shards.index import IndexRow, table_to_rows
from shards.manifest import (
    INDEX_FOLDER,
    DatasetError,
    Manifest,
    ShardEntry,
    read_index,
    read_manifest,
    totals,
)
from shards.store import Store

READ_BYTES = 1 << 20
Decode = Literal["all", "none"] | float


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: of what kind, where, and what was found."""

    kind: str  # manifest | index | missing | foreign | size | checksum | tar | range | audio | json
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was looked at, and every problem found."""

    problems: tuple[Problem, ...]
    clips: int
    shards: int

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems


def verify(
    store: Store,
    decode: Decode = "all",
    on_shard: Callable[[ShardEntry], None] | None = None,
) -> Report:
    """Read the whole dataset once and compare it with its index and manifest.

    `decode` says for which share of the clips the audio is decoded too; which ones is a
    function of their keys. `on_shard` is called after each shard.
    """
    share = _share(decode)
    try:
        manifest = read_manifest(store)
    except DatasetError as error:
        return Report(problems=(Problem("manifest", store.root, str(error)),), clips=0, shards=0)
    try:
        rows = table_to_rows(read_index(store, manifest.index))
    except (DatasetError, OSError) as error:
        problem = Problem("index", manifest.index.name, _one_line(error))
        return Report(problems=(problem,), clips=0, shards=len(manifest.shards))
    problems = [*_manifest_problems(manifest, rows), *_foreign_files(store, manifest)]
    by_shard: dict[str, list[IndexRow]] = {shard.name: [] for shard in manifest.shards}
    for row in rows:
        by_shard.get(row.shard, []).append(row)
    for shard in manifest.shards:
        problems += verify_shard(store, shard, by_shard[shard.name], share)
        if on_shard is not None:
            on_shard(shard)
    return Report(problems=tuple(problems), clips=len(rows), shards=len(manifest.shards))


def verify_shard(
    store: Store, shard: ShardEntry, rows: Sequence[IndexRow], share: float = 1.0
) -> list[Problem]:
    """Compare one tar with its line in the manifest and its rows in the index, in one pass."""
    if store.size(shard.name) is None:
        return [Problem("missing", shard.name, "the manifest names it, but there is no such file")]
    problems: list[Problem] = []
    left: dict[str, IndexRow] = {}
    for row in rows:
        left |= {f"{row.key}.{row.codec}": row, f"{row.key}.json": row}
    try:
        with store.open(shard.name) as file:
            hashed = _HashedFile(cast(IO[bytes], file))
            try:
                for member, data in _members(hashed):
                    problems += _member_problems(shard.name, member, data, left, share)
            except tarfile.TarError as error:
                problems.append(Problem("tar", shard.name, _one_line(error)))
            hashed.drain()
    except OSError as error:
        return [*problems, Problem("missing", shard.name, f"cannot be read: {_one_line(error)}")]
    problems += [
        Problem("missing", f"{shard.name}/{name}", "the index names it, but the tar has none")
        for name in left
    ]
    if hashed.size != shard.size:
        what = f"got {hashed.size} bytes, the manifest says {shard.size}"
        problems.append(Problem("size", shard.name, what))
    if hashed.sha256.hexdigest() != shard.sha256:
        what = "its sha256 differs from the manifest's"
        problems.append(Problem("checksum", shard.name, what))
    return problems


class _HashedFile:
    """A file read from start to end, with the sha256 of what went by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data

    def drain(self) -> None:
        while self.read(READ_BYTES):
            pass


def _members(file: _HashedFile) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    # "r|" never seeks, so that the same pass yields the members and the hash of the file
    with tarfile.open(fileobj=cast(IO[bytes], file), mode="r|", bufsize=READ_BYTES) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            yield member, content.read() if content else b""


def _member_problems(
    shard: str,
    member: tarfile.TarInfo,
    data: bytes,
    left: dict[str, IndexRow],
    share: float,
) -> Iterator[Problem]:
    where = f"{shard}/{member.name}"
    row = left.pop(member.name, None) if member.isreg() else None
    if row is None:
        yield Problem("foreign", where, "the index has no such member, or it comes twice")
    elif member.name.endswith(".json"):
        yield from _json_problems(where, data, row)
    else:
        if (member.offset_data, member.size) != (row.offset, row.size):
            what = (
                f"lies at {member.offset_data} with {member.size} bytes, the index says "
                f"{row.offset} with {row.size}"
            )
            yield Problem("range", where, what)
        if hashlib.sha256(data).hexdigest() != row.checksum:
            yield Problem("checksum", where, "its sha256 differs from the index's")
        if _is_sampled(row.key, share):
            yield from _audio_problems(where, data, row)


def _audio_problems(where: str, data: bytes, row: IndexRow) -> Iterator[Problem]:
    try:
        info = audio.probe(data, where)
        num_samples = len(audio.decode(data, where))
    except AudioError as error:
        yield Problem("audio", where, str(error))
        return
    found = (info.codec, info.sample_rate_hz, info.channels, num_samples)
    expected = (row.codec, row.sample_rate_hz, row.channels, row.num_samples)
    if found != expected:
        what = f"codec, rate, channels and samples are {found}, the index says {expected}"
        yield Problem("audio", where, what)


def _json_problems(where: str, data: bytes, row: IndexRow) -> Iterator[Problem]:
    try:
        source_id = json.loads(data)["id"]
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("json", where, f"no clip description: {_one_line(error)}")
        return
    if source_id != row.source_id:
        yield Problem("json", where, f"got the id {source_id!r}, the index says {row.source_id!r}")


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


def _foreign_files(store: Store, manifest: Manifest) -> Iterator[Problem]:
    known = {manifest.index.name, *(shard.name for shard in manifest.shards)}
    for name in store.names():
        looks_ours = name.endswith(".tar") or name.startswith(f"{INDEX_FOLDER}/")
        if looks_ours and name not in known:
            yield Problem("foreign", name, "the manifest does not name this file")


def _share(decode: Decode) -> float:
    share = {"all": 1.0, "none": 0.0}.get(decode) if isinstance(decode, str) else float(decode)
    if share is None or not 0 <= share <= 1:
        raise ValueError(f"got decode={decode!r}; expected 'all', 'none' or a share from 0 to 1")
    return share


def _is_sampled(key: str, share: float) -> bool:
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:6], "big") < share * (1 << 48)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
