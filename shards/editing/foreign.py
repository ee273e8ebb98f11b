"""An index over WebDataset tars that somebody else wrote, without moving a byte of them.

What a key is and what its members say stands in `foreign_samples`, `foreign_labels` and
`foreign_rules`; packing foreign tars goes by the same.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from shards import audio
from shards.audio.channels import ChannelMeter
from shards.audio.decoding import AudioError, AudioInfo
from shards.clip import ClipError, check_clip, escape_key, nfc
from shards.editing.foreign_rules import ForeignError, ForeignSettings
from shards.editing.foreign_samples import (
    NoAudio,
    Sample,
    check_whole,
    clip_of,
    is_stored,
    scan_samples,
    split_name,
)
from shards.errors import several, told
from shards.index import IndexRow
from shards.io.hashing import ForwardFile, taken
from shards.packing.plan import Skipped
from shards.packing.tar_scan import Member, TarError
from shards.packing.writer import WrittenShard

__all__ = ["ForeignError", "ForeignSettings", "index_shard"]


class _Audio(NamedTuple):
    member: Member
    info: AudioInfo | AudioError  # or why it cannot be used
    warning: str | None  # of its channels
    sha256: str
    crc32: int


def index_shard(
    file: BinaryIO,
    where: str,
    shard: str,
    settings: ForeignSettings,
    on_cut: Callable[[TarError], object] | None = None,
) -> WrittenShard:
    """Index one tar in one pass: its size and sha256, a row per clip, and what was left out.

    Frames, pages and sizes tell the length of the audio, but for MP3 and several channels, which
    are decoded: damage within a FLAC frame of one channel is found by `pmam verify`, not here.
    Recordings whose channels cancel each other are warned of. Links, devices and names that lead
    out of the tar are left out and listed, whatever `on_error` says.

    Args:
        file: the tar, uncompressed.
        where: what errors call it.
        shard: its name in the index.
        settings: the rule.
        on_cut: told of a tar that cannot be read to its end, whatever `on_error` says.

    Raises:
        PackedError: it is compressed.
        TarError: it cannot be read to its end, with `on_error='fail'` and without `on_cut`.
        ForeignError, AudioError, ClipError: with `on_error='fail'`, clips that cannot be used;
            of several, all are told in one error.
    """
    hashed = ForwardFile(file)

    def take(member: Member, _: BinaryIO) -> _Audio:
        return _taken(member, hashed, where, settings)

    found = scan_samples(cast(BinaryIO, hashed), where, settings, take)
    skipped = list(found.skipped)
    if found.cut is not None:
        if on_cut is not None:
            on_cut(TarError(found.cut))
        elif settings.on_error == "fail":
            raise TarError(f"{found.cut}, or take what comes before with --on-error skip")
        else:
            skipped.append(Skipped(where, f"the rest of the tar: {found.cut}"))
    hashed.drain()
    rows: list[IndexRow] = []
    warnings: list[str] = []
    wrong: list[ForeignError | AudioError | ClipError] = []
    name = PurePosixPath(shard).stem
    for key, sample in found.by_key.items():
        try:
            row, unused, warning = _row(sample, shard, name, settings)
            rows.append(row)
            warnings += [warning] if warning else []
            found.unused.update(unused)
        except NoAudio as reason:
            skipped.append(Skipped(key, str(reason)))
        except (AudioError, ClipError, ForeignError) as error:
            wrong.append(error)
            skipped.append(Skipped(key, str(error)))
    if wrong and settings.on_error == "fail":
        raise several(wrong)
    _check_ids(rows, where)
    return WrittenShard(
        name=shard,
        size=hashed.size,
        sha256=hashed.sha256.hexdigest(),
        rows=tuple(rows),
        skipped=tuple(skipped),
        warnings=tuple(warnings),
        unused=dict(sorted(found.unused.items())),
    )


def _taken(member: Member, file: ForwardFile, where: str, settings: ForeignSettings) -> _Audio:
    """An audio member's checksums and length."""
    before = file.size
    meter, name = ChannelMeter(), f"{where}/{member.name}"
    with taken(file, member.size) as data:
        check_whole(file.size - before, member, where)
        suffix = split_name(member.name, settings.keys)[1]
        try:
            if not settings.audio_suffixes and not is_stored(suffix):
                raise _unfit(name, f"a .{suffix} file")  # not read: often a video beside its sound
            info: AudioInfo | AudioError = _probed(data.file, name, meter)
        except AudioError as error:
            info = error
    return _Audio(member, info, meter.warning(name), data.sha256, data.crc32)


def _unfit(name: str, what: str) -> AudioError:
    return AudioError(
        f"{name}: got {what}; in tars expected {', '.join(audio.CODECS)}: convert it, or pack the "
        "recordings (pmam pack --source webdataset)"
    )


def _probed(file: BinaryIO, name: str, meter: ChannelMeter) -> AudioInfo:
    info = audio.probe(file, name, quick=False)
    if info.codec not in audio.CODECS:
        raise _unfit(name, f"{info.codec} audio")
    # Decoders of MP3 drop what encoders padded, some more and some less of it. Of several channels
    # only samples tell whether they cancel each other.
    if info.codec == "mp3" or info.channels > 1:
        return audio.measured(file, name, meter=meter)
    return info


def _row(
    sample: Sample[_Audio], shard: str, name: str, settings: ForeignSettings
) -> tuple[IndexRow, Iterable[str], str | None]:
    clip, (member, info, warning, checksum, crc32), unused = clip_of(sample, name, settings)
    if isinstance(info, AudioError):
        raise info
    known = None if settings.classes is None else frozenset(map(nfc, settings.classes))
    clip = check_clip(clip, info.num_samples / info.sample_rate_hz, known)
    row = IndexRow(
        key=escape_key(clip.source_id),
        source_id=clip.source_id,
        shard=shard,
        offset=member.offset,
        size=member.size,
        codec=info.codec,
        sample_rate_hz=info.sample_rate_hz,
        num_samples=info.num_samples,
        channels=info.channels,
        checksum=checksum,
        crc32=crc32,
        subset=clip.subset,
        recording=clip.recording,
        fold=clip.fold,
        weak=clip.weak,
        events=clip.events,
        meta=clip.meta,
    )
    return row, unused, warning


def _check_ids(rows: list[IndexRow], where: str) -> None:
    counts = Counter(row.source_id for row in rows)
    if doubled := [f"{source_id!r} ({count})" for source_id, count in counts.items() if count > 1]:
        raise ForeignError(f"{where}: several clips have one id: {told(doubled)}; rename them")
