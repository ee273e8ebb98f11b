"""Compare one tar with its line in the manifest and its rows in the index, in one pass."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from shards import audio
from shards.audio.channels import ChannelMeter
from shards.audio.decoding import AudioError
from shards.index import IndexRow
from shards.io.hashing import ForwardFile, Taken, taken
from shards.io.store import Store
from shards.manifest import ShardEntry
from shards.packing.tar_scan import Member, TarError, scan_members

WARNING = "warning"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: of what kind, where, and what was found.

    A warning is of a clip that is as the dataset says, and perhaps not as somebody wants it.
    """

    # manifest, index, missing, foreign, size, checksum, tar, range, audio, json, or WARNING
    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}: {self.what}"


def verify_shard(
    store: Store,
    shard: ShardEntry,
    rows: Sequence[IndexRow] | None,
    share: float = 1.0,
    name: str | None = None,
    *,
    promised: bool = True,
) -> list[Problem]:
    """Every problem of one tar.

    A tar that `pmam pack` wrote holds the audio and the JSON of its rows and nothing else. Of
    one that the manifest gives a URL for, an index may use a part, under any names: there the
    byte ranges count.

    Args:
        store: where the tar lies.
        shard: its line in the manifest.
        rows: its rows in the index; None where that cannot be read: the tar is compared with the
            manifest, and its members with one another.
        share: of the clips whose audio is decoded too.
        name: of the tar in the store, where it is not the manifest's.
        promised: whether the manifest says its size, checksum and clips; else it cannot be read.
    """
    name = shard.name if name is None else name
    try:
        if store.size(name) is None:
            by = "manifest" if promised else "index"
            what = f"the {by} names it, but there is no such file ({store.path(name)})"
            return [Problem("missing", shard.name, what)]
        with store.open(name) as file:
            kind = _Alone if rows is None else _Check
            return kind(shard, rows or (), share, promised).run(cast(BinaryIO, file))
    except OSError as error:
        return [Problem("missing", shard.name, f"cannot be read: {one_line(error)}")]


class _Check:
    """One pass over one tar."""

    def __init__(
        self, shard: ShardEntry, rows: Sequence[IndexRow], share: float, promised: bool
    ) -> None:
        self.shard, self.share, self.promised = shard, share, promised
        self.packed = shard.url is None
        self.problems: list[Problem] = []
        self.cut: str | None = None
        self.seen: set[str] = set()
        # what is still to be found: by member name, or by where its data begins
        self.left: dict[str | int, IndexRow] = {}
        for row in rows:
            if self.packed:
                self.left |= {f"{row.key}.{row.codec}": row, f"{row.key}.json": row}
            else:
                self.left[row.offset] = row

    def run(self, raw: BinaryIO) -> list[Problem]:
        file = ForwardFile(raw)
        try:
            for member in scan_members(cast(BinaryIO, file), self.shard.name, self.skipped):
                self.member(member, file)
        except TarError as error:
            self.cut = str(error).removeprefix(f"{self.shard.name}: ")
        file.drain()
        self.end()
        same = (file.size, file.sha256.hexdigest()) == (self.shard.size, self.shard.sha256)
        # Of others' tars the part before a cut may be all that the index uses.
        if self.cut is not None and (self.packed or self.left or not same):
            self.add("tar", "", self.cut)
        if not self.promised:
            return self.problems
        if file.size != self.shard.size:
            self.add("size", "", f"got {file.size} bytes, the manifest says {self.shard.size}")
        if file.sha256.hexdigest() != self.shard.sha256:
            self.add("checksum", "", "its sha256 differs from the manifest's")
        return self.problems

    def end(self) -> None:
        """After the last member."""
        for place in self.left:
            where = place if isinstance(place, str) else self.left[place].key
            what = "the index names it, but the tar has none"
            self.add("missing", where, what if self.packed else f"{what} at byte {place}")

    def skipped(self, name: str, reason: str) -> None:
        """A link, a device, a name that leads out of the tar: `pmam pack` writes none."""
        if self.packed:
            self.add("foreign", name, f"the index has no such member ({reason})")

    def member(self, member: Member, file: ForwardFile) -> None:
        twice = member.name in self.seen
        self.seen.add(member.name)
        row = self.left.pop(member.name if self.packed else member.offset, None)
        if twice or (row is None and self.packed):
            self.add("foreign", member.name, "the index has no such member, or it comes twice")
        if row is None:
            return
        where = f"{self.shard.name}/{member.name}"
        if self.packed and member.name.endswith(".json"):
            self.problems += _json_problems(where, file.read(member.size), row)
            return
        with taken(file, member.size) as data:
            self.problems += _audio_member_problems(where, member, data, row, self.share)

    def add(self, kind: str, member: str, what: str) -> None:
        where = f"{self.shard.name}/{member}" if member else self.shard.name
        self.problems.append(Problem(kind, where, what))


class _Alone(_Check):
    """One pass over a tar without an index: of those of others, the bytes alone."""

    def __init__(
        self, shard: ShardEntry, rows: Sequence[IndexRow], share: float, promised: bool
    ) -> None:
        super().__init__(shard, rows, share, promised)
        self.kinds: dict[str, list[str]] = {}  # of members, by key

    def member(self, member: Member, file: ForwardFile) -> None:
        """Audio decodes, a description is one."""
        if not self.packed:
            return
        if member.name in self.seen:
            self.add("foreign", member.name, "it comes twice")
        self.seen.add(member.name)
        key, _, kind = member.name.partition(".")
        self.kinds.setdefault(key, []).append(kind)
        where = f"{self.shard.name}/{member.name}"
        if kind == "json":
            self.problems += _json_problems(where, file.read(member.size), None)
        elif kind not in audio.CODECS:
            self.add("foreign", member.name, "neither audio nor the description of a clip")
        elif is_sampled(key, self.share):
            with taken(file, member.size) as data:
                self.problems += _audio_problems(where, data.file, None)

    def end(self) -> None:
        """Each clip has its audio and its description, and there are as many as promised."""
        if not self.packed:
            return
        for key, kinds in self.kinds.items():
            if "json" not in kinds:
                self.add("missing", key, "its description (.json) is not in the tar")
            if not set(kinds) & set(audio.CODECS):
                self.add("missing", key, "its audio is not in the tar")
        if self.promised and len(self.kinds) != self.shard.clips:
            what = f"got {len(self.kinds)} clips, the manifest says {self.shard.clips}"
            self.add("manifest", "", what)


def _audio_member_problems(
    where: str, member: Member, data: Taken, row: IndexRow, share: float
) -> Iterator[Problem]:
    if (member.offset, member.size) != (row.offset, row.size):
        what = (
            f"lies at {member.offset} with {member.size} bytes, the index says "
            f"{row.offset} with {row.size}"
        )
        yield Problem("range", where, what)
    if data.sha256 != row.checksum:
        yield Problem("checksum", where, "its sha256 differs from the index's")
    elif data.crc32 != row.crc32:
        yield Problem("checksum", where, "its crc32 differs from the index's")
    if is_sampled(row.key, share):
        yield from _audio_problems(where, data.file, row)


def _audio_problems(where: str, file: BinaryIO, row: IndexRow | None) -> Iterator[Problem]:
    meter = ChannelMeter()
    try:
        info = audio.measured(file, where, meter=meter)
    except AudioError as error:
        yield Problem("audio", where, str(error))
        return
    found = (info.codec, info.sample_rate_hz, info.channels, info.num_samples)
    expected = found
    if row is not None:
        expected = (row.codec, row.sample_rate_hz, row.channels, row.num_samples)
    if found != expected:
        what = f"codec, rate, channels and samples are {found}, the index says {expected}"
        yield Problem("audio", where, what)
    if (warning := meter.warning(where)) is not None:
        yield Problem(WARNING, where, warning.removeprefix(f"{where}: "))


def _json_problems(where: str, data: bytes, row: IndexRow | None) -> Iterator[Problem]:
    try:
        source_id = json.loads(data)["id"]
    except (ValueError, KeyError, TypeError) as error:
        yield Problem("json", where, f"no clip description: {one_line(error)}")
        return
    if row is not None and source_id != row.source_id:
        yield Problem("json", where, f"got the id {source_id!r}, the index says {row.source_id!r}")


def is_sampled(key: str, share: float) -> bool:
    """Whether a clip is in a share of all clips: a function of its key."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:6], "big") < share * (1 << 48)


def one_line(error: Exception) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__
