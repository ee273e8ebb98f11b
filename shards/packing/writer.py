"""Packing: one planned shard as a tar, with the same bytes whoever writes it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from isal import isal_zlib

from shards.audio.channel_choice import ChannelChoice
from shards.audio.decoding import AudioError, AudioInfo
from shards.clip import Clip
from shards.errors import naming
from shards.index import IndexRow
from shards.io.store import Store
from shards.manifest import ShardEntry
from shards.packing.plan import BLOCK_BYTES, Codec, OnError, ShardPlan, Skipped
from shards.packing.stored_audio import Form, StoredAudio, stored_audio

COPY_BYTES = 1 << 17  # at a time, into the tar


@dataclass(frozen=True, kw_only=True)
class WrittenShard:
    """One finished tar: its size and sha256, its index rows, and what was left out of it."""

    name: str
    size: int
    sha256: str
    rows: tuple[IndexRow, ...]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()  # of recordings that were stored
    unused: Mapping[str, int] = field(default_factory=dict)  # members of foreign tars, by suffix

    @property
    def entry(self) -> ShardEntry:
        """Its line in the manifest."""
        return ShardEntry(name=self.name, size=self.size, sha256=self.sha256, clips=len(self.rows))

    def stored_as(self, name: str) -> "WrittenShard":
        """The same shard under the name that `Store.publish` gave it."""
        rows = tuple(replace(row, shard=name) for row in self.rows)
        return replace(self, name=name, rows=rows)

    def to_json(self) -> str:
        """One line of JSON, to travel back from a worker or to be kept for a later run."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "WrittenShard":
        """The shard that `to_json` described."""
        values = json.loads(text)
        rows = tuple(IndexRow.from_dict(row) for row in values["rows"])
        skipped = tuple(Skipped(*pair) for pair in values["skipped"])
        values["warnings"] = tuple(values.get("warnings", ()))
        return cls(**{**values, "rows": rows, "skipped": skipped})


def write_shard(
    source: Store,
    plan: ShardPlan,
    to: Path,
    *,
    codec: Codec = "keep",
    sample_rate_hz: int | None = None,
    channel: ChannelChoice = "mean",
    on_error: OnError = "fail",
) -> WrittenShard:
    """Write one shard to the local file `to`: per clip `<key>.<codec>` and `<key>.json`.

    Every recording is decoded in full, whatever is stored: one that is unreadable, cut short,
    empty or not finite is an `AudioError`, or with `on_error='skip'` is left out and listed.
    Kept bytes stay as they were, channels and bits too; encoding anew mixes down to mono, as
    `channel` says (`each`: a clip that means one channel gets that one). Recordings whose channels
    cancel each other are warned of. A failed write leaves no file.
    """
    warnings: list[str] = []
    rows: list[IndexRow] = []
    skipped: list[Skipped] = []
    try:
        with (
            naming(to),
            to.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            tar.copybufsize = COPY_BYTES  # type: ignore[attr-defined]  # typeshed lacks it
            for clip in plan.clips:
                try:
                    form = Form(codec, sample_rate_hz, channel)
                    with stored_audio(source, clip, form, to.parent) as member:
                        rows.append(_add(tar, file, plan.name, clip, member))
                    if member.warning is not None:
                        warnings.append(member.warning)
                except AudioError as error:
                    if on_error == "fail":
                        raise
                    skipped.append(Skipped(clip.source_id, str(error)))
        with naming(to), to.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    except BaseException:
        to.unlink(missing_ok=True)
        raise
    return WrittenShard(
        name=plan.name,
        size=to.stat().st_size,
        sha256=digest,
        rows=tuple(rows),
        skipped=tuple(skipped),
        warnings=tuple(warnings),
    )


def write_made_shard(
    name: str, clips: Iterable[tuple[Clip, bytes, AudioInfo]], to: Path
) -> WrittenShard:
    """Write a shard of what no file holds: per clip `<key>.<codec>` and `<key>.json`.

    Args:
        name: of the shard.
        clips: with the bytes of each, and the form of the audio; that of arrays is `npy`.
        to: a local file; a failed write leaves none.
    """
    rows: list[IndexRow] = []
    try:
        with (
            naming(to),
            to.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for clip, data, info in clips:
                member = StoredAudio(io.BytesIO(data), len(data), info, info, None)
                rows.append(_add(tar, file, name, clip, member))
        with naming(to), to.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    except BaseException:
        to.unlink(missing_ok=True)
        raise
    return WrittenShard(name=name, size=to.stat().st_size, sha256=digest, rows=tuple(rows))


class _Hashed:
    """A file read from start to end, with the checksums of what went by."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.crc32 = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.sha256.update(data)
        self.crc32 = isal_zlib.crc32(data, self.crc32)
        return data


def _add(
    tar: tarfile.TarFile, file: BinaryIO, shard: str, clip: Clip, member: StoredAudio
) -> IndexRow:
    offset = file.tell() + BLOCK_BYTES  # after the member's own header
    stored = _Hashed(member.file)
    _add_file(tar, f"{clip.key}.{member.info.codec}", stored, member.size)
    checksum = stored.sha256.hexdigest()
    provenance = {
        "file": clip.audio,
        "sha256": member.source_sha256 or checksum,
        **asdict(member.source),
    }
    description = _json_member(clip, provenance)
    _add_file(tar, f"{clip.key}.json", io.BytesIO(description), len(description))
    return IndexRow(
        key=clip.key,
        source_id=clip.source_id,
        shard=shard,
        offset=offset,
        size=member.size,
        codec=member.info.codec,
        sample_rate_hz=member.info.sample_rate_hz,
        num_samples=member.info.num_samples,
        channels=member.info.channels,
        checksum=checksum,
        crc32=stored.crc32,
        subset=clip.subset,
        recording=clip.recording,
        fold=clip.fold,
        weak=clip.weak,
        events=clip.events,
        meta=clip.meta,
    )


def _add_file(tar: tarfile.TarFile, name: str, data: Any, size: int) -> None:
    header = tarfile.TarInfo(name)  # mtime, uid and gid 0, no owner names, mode 0o644
    header.size = size
    tar.addfile(header, data)


def _json_member(clip: Clip, provenance: Mapping[str, Any]) -> bytes:
    values = clip.to_dict()
    values = {"id": values.pop("source_id"), **values, "source": provenance}
    del values["audio"]  # it is the source's "file"
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
