"""The members of a foreign tar by their keys: the one reader of reindex and of pack.

WebDataset's rule: what stands before the first dot of a file name, with its folders, is the
key; members of one key are one sample. Names count as the same where they differ in the case of
their suffix, in `./`, or in how Unicode spells them.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import BinaryIO, Generic, Literal, TypeVar

from shards.audio.decoding import AUDIO_SUFFIXES, STORED_SUFFIXES
from shards.clip import Clip
from shards.editing.foreign_labels import Described, describe
from shards.editing.foreign_rules import ForeignError, ForeignSettings, hint
from shards.index import IndexRow
from shards.io.gzip_index import GzipError
from shards.packing.plan import Skipped
from shards.packing.tar_scan import Member, PackedError, TarError, scan_members

TEXT_BYTES = 16 << 20  # a longer description is none
T = TypeVar("T")


@dataclass
class Sample(Generic[T]):
    """The members of one key: the audio by suffix, with what the reader took of it, and texts."""

    key: str
    where: str  # what errors call it
    names: dict[str, str] = field(default_factory=dict)  # of all members, by suffix
    audio: dict[str, tuple[Member, T]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)  # why it cannot be used


@dataclass
class Samples(Generic[T]):
    """What a tar holds, and what of it is not used."""

    by_key: dict[str, Sample[T]] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)  # members that are none of a sample
    unused: Counter[str] = field(default_factory=Counter)  # members by suffix
    cut: str | None = None  # why the tar was not read to its end


def scan_samples(
    file: BinaryIO,
    where: str,
    settings: ForeignSettings,
    take: Callable[[Member, BinaryIO], T],
) -> Samples[T]:
    """The samples of one tar, in one pass.

    Args:
        file: the tar; seeks go forward only.
        where: what errors call it.
        settings: the rule.
        take: called with each audio member, to read what is wanted of it; `TarError` where its
            bytes are not all there.

    A tar that has no end, or whose end cannot be read, is told in `cut`: what came before is
    there, but for a last sample that misses a member which all others have.
    """
    found: Samples[T] = Samples()
    kinds = settings.kinds
    last: Sample[T] | None = None
    reading: Member | None = None
    try:
        for member in scan_members(file, where, lambda *what: found.skipped.append(Skipped(*what))):
            key, suffix = split_name(member.name, settings.keys)
            if not key:
                found.skipped.append(Skipped(member.name, "its name has no key before a dot"))
                continue
            if key not in found.by_key:
                found.by_key[key] = Sample(key, f"{where}/{key}")
            last = sample = found.by_key[key]
            if suffix in sample.names:
                sample.wrong.append(_doubled(sample, suffix, member.name, settings))
                continue
            reading = member
            if _is_audio(suffix, settings):
                sample.audio[suffix] = (member, take(member, file))
            elif suffix in kinds:
                _read_text(sample, suffix, member, file)
            else:
                found.unused[suffix] += 1
            sample.names[suffix] = member.name
            reading = None
    except PackedError:
        raise
    except (TarError, GzipError) as error:
        found.cut = str(error)
        if last is not None and reading is not None:
            last.wrong.append(f"the tar ends inside {reading.name}")
        elif last is not None and (reason := _incomplete(last, found.by_key.values())):
            last.wrong.append(reason)
    return found


def check_whole(got: int, member: Member, name: str) -> None:
    """Raises `TarError` where the tar ended inside a member, after so many of its bytes."""
    if got < member.size:
        raise TarError(
            f"{name}: truncated inside {member.name}: got {got} of {member.size} bytes; copy it "
            "again"
        )


def clip_of(
    sample: Sample[T], shard: str, settings: ForeignSettings
) -> tuple[Clip, T, tuple[str, ...]]:
    """A sample as a clip, whose `audio` is the member's name; what was taken of the audio; and
    the suffixes that were not used.

    Args:
        sample: the members of one key.
        shard: the name of the tar, in front of ids by `--id shard`.
        settings: the rule.

    Raises:
        NoAudio: it has none.
        ForeignError: the sample does not say which member is the audio, or what its labels are.
    """
    if sample.wrong:
        raise ForeignError(f"{sample.where}: {sample.wrong[0]}")
    suffix = _audio_suffix(sample, settings)
    member, taken = sample.audio[suffix]
    described = describe(sample.texts, sample.where, settings)
    others = tuple(name for name in sample.audio if name != suffix)
    clip = Clip(
        source_id=_id_of(sample.key, shard, described, settings),
        audio=member.name,
        subset=described.subset or described.kind,
        recording=described.recording,
        fold=described.fold,
        weak=described.weak,
        events=described.events,
        meta=described.meta,
    )
    return clip, taken, (*others, *described.unused)


class NoAudio(ForeignError):
    """A sample without an audio member; the message is the reason alone."""


def split_name(name: str, keys: Literal["first_dot", "last_dot"] = "first_dot") -> tuple[str, str]:
    """A member's name as key and suffix, without the dot; an empty key where there is none."""
    name = unicodedata.normalize("NFC", name)
    folder, slash, base = str(PurePosixPath(name)).rpartition("/")
    if keys == "first_dot":
        stem, dot, suffix = base.partition(".")
    else:
        stem, dot, suffix = base.rpartition(".")
    if not dot or not stem or base.startswith("."):
        return "", suffix
    return f"{folder}{slash}{stem}", suffix.lower()


def check_rules(clips: Sequence[Clip | IndexRow], settings: ForeignSettings) -> None:
    """Refuse a rule that was given and found nothing in any clip."""
    fields = {"labels": "weak", "events": "events", "recording": "recording", "fold": "fold"}
    for name, found in fields.items():
        rule = getattr(settings, name)
        if rule in (None, "auto", "none") or not clips:
            continue
        values = [getattr(clip, found) for clip in clips]
        if name == "labels" and rule == "json":
            values += [clip.events for clip in clips]
        if all(value is None for value in values):
            raise ForeignError(
                f"the rule {name} {rule} finds nothing in {len(clips)} clips; correct it"
            )


def unused_notes(unused: Mapping[str, int]) -> Iterator[str]:
    """How many members of each kind were not used, a line each."""
    for suffix, count in sorted(unused.items()):
        yield f"{count} members .{suffix} not used"


def _doubled(sample: Sample[T], suffix: str, name: str, settings: ForeignSettings) -> str:
    other = sample.names[suffix]
    ways = "rename one of them in the tar, or leave their clip out with --on-error skip"
    if other == name:
        return f"the member {name!r} comes twice; expected each once: {ways}"
    if _parted_by_last_dot((other, name), settings):
        ways = f"give {hint('keys', 'last_dot')}, or {ways}"
    return (
        f"doubled: got {other} and {name}, both .{suffix} of the key {sample.key!r}; expected one: "
        f"{ways}"
    )


def _parted_by_last_dot(names: Sequence[str], settings: ForeignSettings) -> bool:
    """Whether names of one key would have several if they were cut at their last dot."""
    if settings.keys == "last_dot":
        return False
    return len({split_name(name, "last_dot")[0] for name in names}) == len(names)


def _is_audio(suffix: str, settings: ForeignSettings) -> bool:
    if settings.audio_suffixes:
        return suffix in settings.audio_suffixes
    return f".{suffix}".endswith(AUDIO_SUFFIXES)


def is_stored(suffix: str) -> bool:
    """Whether shards hold such audio as it is; other kinds are converted when they are packed."""
    return f".{suffix}".endswith(STORED_SUFFIXES)


def _audio_suffix(sample: Sample[T], settings: ForeignSettings) -> str:
    """Which of the audio members is the clip."""
    if not sample.audio:
        raise NoAudio("no audio member")
    if settings.audio_suffixes:
        return next(name for name in settings.audio_suffixes if name in sample.audio)
    # beside a recording, the sound of a video is the same once more
    of_kind = {k: v for k, v in sample.audio.items() if is_stored(k)} or sample.audio
    members = [member.name for member, _ in of_kind.values()]
    names = ", ".join(members)
    ways = f"choose one with {hint('audio', 'SUFFIX')}"
    # of one alone, cut at its first dot, the rest may belong to the key
    if _parted_by_last_dot(members, settings):
        ways += f", or, where dots belong to the keys, give {hint('keys', 'last_dot')}"
    if len(members) > 1:
        raise ForeignError(
            f"{sample.where}: the key {sample.key!r} has several audio members ({names}); {ways}"
        )
    [suffix] = of_kind
    if "." in suffix:
        raise ForeignError(
            f"{sample.where}: cut at its first dot, the name {names} has the key {sample.key!r} "
            f"and the suffix {suffix!r}, beside which no labels are found; {ways}"
        )
    return suffix


def _read_text(sample: Sample[T], suffix: str, member: Member, file: BinaryIO) -> None:
    if member.size > TEXT_BYTES:
        sample.wrong.append(
            f"{member.name} has {member.size} bytes; expected a description of {TEXT_BYTES} at most"
        )
        return
    file.seek(member.offset)
    text = file.read(member.size)
    check_whole(len(text), member, sample.where)
    sample.texts[suffix] = text


def _incomplete(last: Sample[T], samples: Iterable[Sample[T]]) -> str | None:
    """What the last sample before a cut misses that all others have."""
    others = [set(sample.names) for sample in samples if sample is not last]
    missing = sorted(set.intersection(*others) - set(last.names)) if others else []
    return f"the tar ends before its .{missing[0]}" if missing else None


def _id_of(key: str, shard: str, described: Described, settings: ForeignSettings) -> str:
    own = described.source_id or key
    return f"{shard}/{own}" if settings.id == "shard" else own
