"""An index over WebDataset tars that somebody else wrote, without moving a byte of them.

WebDataset's rule: what stands before the first dot of a file name, with its folders, is the
key; members of one key are one sample. Of each sample the audio member becomes a clip; `json`,
`cls` and `txt` describe it; anything else stays where it is.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, NamedTuple, cast

from shards import audio
from shards.audio.decoding import STORED_SUFFIXES, AudioError, AudioInfo
from shards.clip import Clip, ClipError, check_clip, escape_key, nfc
from shards.editing.foreign_labels import Described, ForeignError, LabelsFrom, describe
from shards.index import IndexRow
from shards.io.hashing import ForwardFile, taken
from shards.packing.plan import OnError, Skipped
from shards.packing.tar_scan import Member, TarError, scan_members
from shards.packing.writer import WrittenShard

__all__ = ["ForeignError", "ForeignSettings", "index_shard"]

TEXT_BYTES = 1 << 24  # a longer description is none
TEXTS = ("json", "cls", "txt")


@dataclass(frozen=True, kw_only=True)
class ForeignSettings:
    """How the members of foreign tars become clips."""

    # End of a sample's key: the first dot of a member's name, as in WebDataset, or the last one.
    keys: Literal["first_dot", "last_dot"] = "first_dot"
    # Suffix of the audio member, such as flac or left.wav, where a sample has several.
    audio: str | None = None
    # Member that holds the labels; auto takes JSON's, else those of cls.
    labels: LabelsFrom = "auto"
    # JSON field that holds the weak labels; by default the first there is of weak, labels, label,
    # tags and the like.
    label_field: str | None = None
    # Subset of all clips; by default as the JSON says, else strong, weak or unlabeled by the
    # labels.
    subset: str | None = None
    # Classes, in the order of their numbers; by default all labels found.
    classes: tuple[str, ...] | None = None
    # What to do at an unusable clip: fail, or leave it out and list it.
    on_error: OnError = "fail"


class _Audio(NamedTuple):
    member: Member
    info: AudioInfo | str  # or why it cannot be used
    sha256: str
    crc32: int


@dataclass
class _Sample:
    audio: dict[str, _Audio] = field(default_factory=dict)  # by suffix
    texts: dict[str, bytes] = field(default_factory=dict)


def index_shard(
    file: BinaryIO,
    where: str,
    shard: str,
    settings: ForeignSettings,
    on_cut: Callable[[TarError], object] | None = None,
) -> WrittenShard:
    """Index one tar in one pass: its size and sha256, a row per clip, and what was left out.

    Frames, pages and sizes tell the length of the audio, but for MP3, which is decoded: damage
    within a FLAC frame is found by `pmam verify`, not here. Links, devices and
    names that lead out of the tar are left out and listed, whatever `on_error` says.

    Args:
        file: the tar, uncompressed.
        where: what errors call it.
        shard: its name in the index.
        settings: the rule.
        on_cut: told of a `TarError` that is not raised then: what came before it is indexed.

    Raises:
        TarError: it cannot be read to its end, without `on_cut`.
        ForeignError: a key holds the same member twice, or several audio members.
        AudioError, ClipError: with `on_error='fail'`, the first clip that cannot be used.
    """
    skipped: list[Skipped] = []
    hashed = ForwardFile(file)
    samples: dict[str, _Sample] = {}
    seen: set[str] = set()
    members = scan_members(
        cast(BinaryIO, hashed), where, lambda *what: skipped.append(Skipped(*what))
    )
    try:
        for member in members:
            if member.name in seen:
                raise ForeignError(
                    f"{where}: the member {member.name!r} comes twice; expected each once: rename "
                    "or remove one of them"
                )
            seen.add(member.name)
            key, suffix = split_name(member.name, settings.keys)
            if key:
                _take(samples.setdefault(key, _Sample()), suffix, member, hashed, where, settings)
            else:
                skipped.append(Skipped(member.name, "its name has no key before the first dot"))
    except TarError as error:
        if on_cut is None:
            raise
        on_cut(error)
    hashed.drain()
    rows = []
    for key, sample in samples.items():
        try:
            rows.append(_row(key, sample, where, shard, settings))
        except _Unusable as reason:
            skipped.append(Skipped(key, str(reason)))
        except (AudioError, ClipError, ForeignError) as error:
            if settings.on_error == "fail" or isinstance(error, _Several):
                raise
            skipped.append(Skipped(key, str(error)))
    _check_keys(rows, where)
    return WrittenShard(
        name=shard,
        size=hashed.size,
        sha256=hashed.sha256.hexdigest(),
        rows=tuple(rows),
        skipped=tuple(skipped),
    )


def split_name(name: str, keys: Literal["first_dot", "last_dot"] = "first_dot") -> tuple[str, str]:
    """A member's name as key and suffix, without the dot; an empty key where there is none."""
    folder, slash, base = name.removeprefix("./").rpartition("/")
    if keys == "first_dot":
        stem, dot, suffix = base.partition(".")
    else:
        stem, dot, suffix = base.rpartition(".")
    if not dot or not stem or base.startswith("."):
        return "", suffix
    return f"{folder}{slash}{stem}", suffix.lower()


class _Unusable(Exception):
    """A sample without audio."""


class _Several(ForeignError):
    """A sample with several audio members."""


def _take(
    sample: _Sample,
    suffix: str,
    member: Member,
    file: ForwardFile,
    where: str,
    settings: ForeignSettings,
) -> None:
    """Note what a member is good for; what is neither audio nor a description is passed over."""
    if _is_audio(suffix, settings):
        with taken(file, member.size) as data:
            try:
                info: AudioInfo | str = _probed(data.file, f"{where}/{member.name}")
            except AudioError as error:
                info = str(error)
        sample.audio[suffix] = _Audio(member, info, data.sha256, data.crc32)
    elif suffix in TEXTS and member.size <= TEXT_BYTES:
        sample.texts[suffix] = file.read(member.size)


def _is_audio(suffix: str, settings: ForeignSettings) -> bool:
    if settings.audio is not None:
        return suffix == settings.audio.removeprefix(".").lower()
    return f".{suffix}".endswith(STORED_SUFFIXES)


def _probed(file: BinaryIO, name: str) -> AudioInfo:
    info = audio.probe(file, name, quick=False)
    if info.codec not in audio.CODECS:
        raise AudioError(
            f"{name}: got {info.codec} audio; in tars expected {', '.join(audio.CODECS)}: convert "
            "it, or pack the recordings"
        )
    # decoders of MP3 drop what encoders padded, some more and some less of it
    return audio.measured(file, name) if info.codec == "mp3" else info


def _row(key: str, sample: _Sample, where: str, shard: str, settings: ForeignSettings) -> IndexRow:
    if not sample.audio:
        raise _Unusable("no audio member")
    if len(sample.audio) > 1:
        names = ", ".join(found.member.name for found in sample.audio.values())
        raise _Several(
            f"{where}: the key {key!r} has several audio members ({names}); choose one with "
            "--audio SUFFIX, or, where dots belong to the keys, give --keys last_dot"
        )
    [(member, info, checksum, crc32)] = sample.audio.values()
    if isinstance(info, str):
        raise AudioError(info)
    described = describe(
        sample.texts,
        f"{where}/{key}",
        labels=settings.labels,
        field=settings.label_field,
        classes=settings.classes,
    )
    clip = _clip(key, member.name, described, settings)
    known = None if settings.classes is None else frozenset(map(nfc, settings.classes))
    clip = check_clip(clip, info.num_samples / info.sample_rate_hz, known)
    return IndexRow(
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


def _clip(key: str, member: str, described: Described, settings: ForeignSettings) -> Clip:
    return Clip(
        source_id=described.source_id or key,
        audio=member,
        subset=settings.subset or described.subset or described.kind,
        recording=described.recording,
        fold=described.fold,
        weak=described.weak,
        events=described.events,
        meta=described.meta,
    )


def _check_keys(rows: list[IndexRow], where: str) -> None:
    for source_id, count in Counter(row.source_id for row in rows).items():
        if count > 1:
            raise ForeignError(f"{where}: {count} clips have the id {source_id!r}; rename them")
