"""Packing: one planned shard as a tar, with the same bytes whoever writes it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np

from shards import audio
from shards.audio import AudioError, AudioInfo
from shards.clip import Clip
from shards.index import IndexRow
from shards.manifest import ShardEntry
from shards.plan import BLOCK_BYTES, Codec, OnError, ShardPlan, Skipped, stored_form
from shards.store import Store


@dataclass(frozen=True, kw_only=True)
class WrittenShard:
    """One finished tar: its size and sha256, its index rows, and the clips left out of it."""

    name: str
    size: int
    sha256: str
    rows: tuple[IndexRow, ...]
    skipped: tuple[Skipped, ...] = ()

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
        return cls(**{**values, "rows": rows, "skipped": skipped})


def write_shard(
    source: Store,
    plan: ShardPlan,
    to: Path,
    *,
    codec: Codec = "keep",
    sample_rate_hz: int | None = None,
    on_error: OnError = "fail",
) -> WrittenShard:
    """Write one shard to the local file `to`: per clip `<key>.<codec>` and `<key>.json`.

    Every recording is decoded in full, whatever is stored: one that is unreadable, cut short,
    empty or not finite is an `AudioError`, or with `on_error='skip'` is left out and listed.
    Kept bytes stay as they were, channels and bits too; encoding anew mixes down to mono. A
    failed write leaves no file.
    """
    rows: list[IndexRow] = []
    skipped: list[Skipped] = []
    try:
        with (
            to.open("wb") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for clip in plan.clips:
                try:
                    member = _member(source, clip, codec, sample_rate_hz)
                except AudioError as error:
                    if on_error == "fail":
                        raise
                    skipped.append(Skipped(clip.source_id, str(error)))
                else:
                    rows.append(_add(tar, file, plan.name, clip, member))
        with to.open("rb") as written:
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
    )


class _Member(NamedTuple):
    data: bytes
    info: AudioInfo
    provenance: Mapping[str, Any]


def _member(source: Store, clip: Clip, codec: Codec, sample_rate_hz: int | None) -> _Member:
    data = source.read(clip.audio)
    info = audio.probe(data, clip.audio)
    stored_codec, rate = stored_form(info, codec, sample_rate_hz)
    resampled = rate != info.sample_rate_hz
    samples = audio.decode(data, clip.audio, sample_rate_hz=rate if resampled else None)
    provenance = {
        "file": clip.audio,
        "sha256": hashlib.sha256(data).hexdigest(),
        **asdict(info),
    }
    if not resampled and stored_codec == info.codec:
        # an MP3's header may only estimate what the decoder then finds
        return _Member(data, replace(info, num_samples=len(samples)), provenance)
    bits = 16 if resampled else _bits(samples, info)
    try:
        encoded = audio.encode(samples, rate, cast(Literal["flac", "wav"], stored_codec), bits)
    except AudioError as error:
        raise AudioError(f"{clip.audio}: {error}") from error
    stored = AudioInfo(
        codec=stored_codec, sample_rate_hz=rate, num_samples=len(samples), channels=1
    )
    return _Member(encoded, stored, provenance)


def _bits(samples: audio.Samples, info: AudioInfo) -> Literal[16, 24]:
    """24 where 16 bits would lose what a lossless recording holds, else 16."""
    if info.codec not in ("flac", "wav"):
        return 16
    steps = samples * np.float32(1 << 15)
    return 16 if np.array_equal(steps, np.rint(steps)) else 24


def _add(tar: tarfile.TarFile, file: BinaryIO, shard: str, clip: Clip, member: _Member) -> IndexRow:
    offset = file.tell() + BLOCK_BYTES  # after the member's own header
    _add_file(tar, f"{clip.key}.{member.info.codec}", member.data)
    _add_file(tar, f"{clip.key}.json", _json_member(clip, member.provenance))
    return IndexRow(
        key=clip.key,
        source_id=clip.source_id,
        shard=shard,
        offset=offset,
        size=len(member.data),
        codec=member.info.codec,
        sample_rate_hz=member.info.sample_rate_hz,
        num_samples=member.info.num_samples,
        channels=member.info.channels,
        checksum=hashlib.sha256(member.data).hexdigest(),
        subset=clip.subset,
        recording=clip.recording,
        fold=clip.fold,
        weak=clip.weak,
        events=clip.events,
        meta=clip.meta,
    )


def _add_file(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    header = tarfile.TarInfo(name)  # mtime, uid and gid 0, no owner names, mode 0o644
    header.size = len(data)
    tar.addfile(header, io.BytesIO(data))


def _json_member(clip: Clip, provenance: Mapping[str, Any]) -> bytes:
    values = clip.to_dict()
    values = {"id": values.pop("source_id"), **values, "source": provenance}
    del values["audio"]  # it is the source's "file"
    return json.dumps(values, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
