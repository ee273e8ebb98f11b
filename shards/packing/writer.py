"""Packing: one planned shard as a tar, with the same bytes whoever writes it."""

import contextlib
import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, cast

import numpy as np
from isal import isal_zlib

from shards import audio
from shards.audio.channels import Channel, ChannelMeter
from shards.audio.decoding import AudioError, AudioInfo
from shards.audio.encoding import encode_to
from shards.clip import Clip
from shards.errors import naming
from shards.index import IndexRow
from shards.io import range_file
from shards.io.store import Store
from shards.manifest import ShardEntry
from shards.packing.plan import BLOCK_BYTES, Codec, OnError, ShardPlan, Skipped, stored_form

BLOCK_S = 4.0  # of a recording in memory, decoded
COPY_BYTES = 1 << 17  # at a time, into the tar
MEMBER_MAX_BYTES = 8**11 - 1  # a USTAR header has eleven octal digits for the size


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
    channel: Channel = "mean",
    on_error: OnError = "fail",
) -> WrittenShard:
    """Write one shard to the local file `to`: per clip `<key>.<codec>` and `<key>.json`.

    Every recording is decoded in full, whatever is stored: one that is unreadable, cut short,
    empty or not finite is an `AudioError`, or with `on_error='skip'` is left out and listed.
    Kept bytes stay as they were, channels and bits too; encoding anew mixes down to mono, as
    `channel` says. Recordings whose channels cancel each other are warned of. A failed write leaves
    no file.
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
                    form = _Form(codec, sample_rate_hz, channel)
                    with _member(source, clip, form, to.parent) as member:
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


def write_array_shard(
    name: str, clips: Iterable[tuple[Clip, bytes, AudioInfo]], to: Path
) -> WrittenShard:
    """Write a shard of what stands for audio: per clip `<key>.npy` and `<key>.json`.

    Args:
        name: of the shard.
        clips: with the file of each, and the form of the audio that it was computed of, whose
            codec is `npy`.
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
                member = _Member(io.BytesIO(data), len(data), info, info, None)
                rows.append(_add(tar, file, name, clip, member))
        with naming(to), to.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
    except BaseException:
        to.unlink(missing_ok=True)
        raise
    return WrittenShard(name=name, size=to.stat().st_size, sha256=digest, rows=tuple(rows))


class _Member(NamedTuple):
    file: BinaryIO  # from its start on
    size: int
    info: AudioInfo
    source: AudioInfo
    source_sha256: str | None  # None where the bytes are the source's
    warning: str | None = None  # of the source's channels


class _Form(NamedTuple):
    codec: Codec
    sample_rate_hz: int | None
    channel: Channel


@contextlib.contextmanager
def _member(source: Store, clip: Clip, form: _Form, folder: Path) -> Iterator[_Member]:
    """The checked audio member: the source's own file, or a temporary one, encoded anew."""
    with range_file.opened(source, clip.audio) as file:
        info = audio.probe(file, clip.audio)
        channel = form.channel if info.channels > 1 else "mean"
        stored_codec, rate = stored_form(info, form.codec, form.sample_rate_hz)
        meter = ChannelMeter()
        if channel != "mean" and stored_codec not in ("flac", "wav"):
            stored_codec = "flac"
        elif channel == "mean" and (stored_codec, rate) == (info.codec, info.sample_rate_hz):
            size = _size(file, clip)
            found = audio.measured(file, clip.audio, meter=meter)
            file.seek(0)
            yield _Member(file, size, found, found, None, meter.warning(clip.audio))
            return
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        is_lossless = info.is_lossless and rate == info.sample_rate_hz
        is_short = is_lossless and audio.fits_16_bits(file, clip.audio)
        bits = _bits(_decoded(file, clip, rate, channel)) if is_lossless and not is_short else 16
        with _scratch(info, rate, folder) as encoded:
            kind = cast(Literal["flac", "wav"], stored_codec)
            name = f"{clip.audio}: encode"
            samples: Iterable[Any] = (
                audio.steps_16_bits(file, clip.audio)
                if is_short
                else _decoded(file, clip, rate, channel, meter)
            )
            count = encode_to(encoded, samples, rate, kind, bits, name)
            stored = AudioInfo(codec=kind, sample_rate_hz=rate, num_samples=count, channels=1)
            size = _size(encoded, clip)
            encoded.seek(0)
            warning = meter.warning(clip.audio) if channel == "mean" else None
            yield _Member(encoded, size, stored, info, sha256, warning)


def _scratch(info: AudioInfo, rate: int, folder: Path) -> BinaryIO:
    """Room for what is encoded: memory, or a file for a long recording."""
    largest = 4 * info.num_samples * rate // info.sample_rate_hz  # bytes; no codec needs as many
    if largest <= range_file.WHOLE_BYTES:
        return io.BytesIO()
    return cast(BinaryIO, tempfile.TemporaryFile(dir=folder, buffering=0))


def _decoded(
    file: BinaryIO, clip: Clip, rate: int, channel: Channel, meter: ChannelMeter | None = None
) -> Iterator[audio.Samples]:
    return audio.blocks(
        file,
        clip.audio,
        sample_rate_hz=rate,
        block_s=BLOCK_S,
        channel=channel,
        meter=meter,
    )


def _bits(blocks: Iterable[audio.Samples]) -> Literal[16, 24]:
    """24 where 16 bits would lose what a lossless recording holds, else 16."""
    for block in blocks:
        steps = block * np.float32(1 << 15)
        if not np.array_equal(steps, np.rint(steps)):
            return 24
    return 16


def _size(file: BinaryIO, clip: Clip) -> int:
    """How many bytes will be stored; `AudioError` where a tar cannot hold them."""
    size = file.seek(0, io.SEEK_END)
    if size > MEMBER_MAX_BYTES:
        raise AudioError(
            f"{clip.audio}: got {size} bytes to store; a member of a tar holds at most "
            f"{MEMBER_MAX_BYTES}: split the recording, or store it as flac or at a lower rate"
        )
    return size


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


def _add(tar: tarfile.TarFile, file: BinaryIO, shard: str, clip: Clip, member: _Member) -> IndexRow:
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
