"""Anybody's WebDataset shards: tars, also packed by gzip, below one folder, local or remote.

A member `KEY.EXT` belongs to the sample `KEY`; as in WebDataset the name is cut at its first dot
and EXT counts in lower case. Keys, ids and labels go by the rules of `pmam reindex foreign`, with
the same names and values (`shards.editing.foreign_rules.ForeignSettings`):

    keys last_dot      cut names at their last dot: for keys such as Yabc_460.000_470.000
    id shard           ids get the shard's name in front, where shards share keys
    audio flac,wav     which members are the audio, the first that a sample has
    labels cls         weak labels: a suffix, json:FIELD, auto or none
    events json:events a list of objects, or a TSV or CSV member, with onset, offset and label
    subset json:split  or a plain name such as weak; `recording` and `fold` likewise
    classes dog,cat    what labels that are numbers mean
    shards a-{000..7}.tar,b*.tar   which tars, with ranges and wildcards

By default, the JSON members of our own shards and the fields that people use are understood.
Nothing is unpacked to disk.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, BinaryIO

from shards.brace_patterns import ShardUrlError, expand_braces
from shards.clip import Clip
from shards.editing.foreign_rules import ForeignError, ForeignSettings, hint
from shards.editing.foreign_samples import (
    NoAudio,
    check_rules,
    clip_of,
    scan_samples,
    unused_notes,
)
from shards.io.gzip_index import GzipError
from shards.io.store import Store
from shards.io.tar_members import MemberStore, is_tar, member_name
from shards.locations import shard_stem
from shards.packing.plan import Skipped
from shards.packing.tar_scan import Member, PackedError, TarError
from shards.sources._tables import Options, SourceError, SourceListing, check_options

RULES = ("audio", "events", "fold", "id", "keys", "labels", "recording", "subset")
OPTIONS = (*RULES, "classes", "shards")


@dataclass
class _Found:
    """What all shards together hold."""

    clips: list[Clip] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # samples without audio
    unusable: list[Skipped] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)  # members, by reason
    unused: Counter[str] = field(default_factory=Counter)  # members, by suffix


def webdataset(store: Store, options: Options) -> SourceListing:
    """List the samples of all shards that have audio."""
    settings = read_options(options)
    tars = [name for name in store.names() if is_tar(name)]
    if "shards" in options:
        tars = expand_shards(options["shards"], tars, store)
    if not tars:
        raise SourceError(
            f"{store.root}: got no tars (.tar, .tar.gz, .tgz); expected a folder of WebDataset "
            "shards: check the path"
        )
    members = MemberStore(store)
    found = _Found()
    for tar in tars:
        try:
            _list_shard(members, tar, settings, found)
        except (PackedError, GzipError) as error:
            found.unusable.append(Skipped(tar, str(error)))
    clips = found.clips
    if not clips and not found.unusable:
        raise SourceError(
            f"{store.root}: got no audio in {len(tars)} tars, but members that end in "
            f"{', '.join(sorted(found.unused)) or 'nothing'}; name the audio by --options audio "
            "EXT, or cut names by --options keys last_dot"
        )
    try:
        check_rules(clips, settings)
    except ForeignError as error:
        raise SourceError(f"{store.root}: {error}") from error
    labels = {label for clip in clips for label in clip.weak or ()}
    labels |= {event.label for clip in clips for event in clip.events or ()}
    labelled = any(clip.weak is not None or clip.events is not None for clip in clips)
    return SourceListing(
        clips=tuple(_each_once(clips, store)),
        classes=settings.classes or (tuple(sorted(labels)) if labelled else None),
        keeps_classes=bool(settings.classes),
        missing=tuple(found.missing),
        unlabelled=tuple(
            clip.audio for clip in clips if labelled and clip.weak is None and clip.events is None
        ),
        notes=_notes(tars, found),
        unusable=tuple(found.unusable),
    )


def read_options(options: Options) -> ForeignSettings:
    """The options as rules; `SourceError` for one that is unknown or wrong by itself."""
    check_options(options, OPTIONS, "webdataset")
    classes = [name.strip() for name in options.get("classes", "").split(",") if name.strip()]
    given: dict[str, Any] = {name: options[name] for name in RULES if name in options}
    try:
        return ForeignSettings(**given, classes=tuple(classes) or None)
    except ForeignError as error:
        raise SourceError(f"option {error}") from error


def expand_shards(spec: str, tars: Sequence[str], store: Store) -> list[str]:
    """The tars that a list of names, braces `{000..007}` and wildcards `*` means."""
    try:
        patterns = expand_braces(f"{{{spec}}}" if "," in spec else spec)
    except ShardUrlError as error:
        raise SourceError(f"option shards: {error}") from error
    chosen: dict[str, None] = {}
    for pattern in map(str.strip, patterns):
        found = [tar for tar in tars if fnmatchcase(tar, pattern)]
        if not found:
            raise SourceError(
                f"{store.path(pattern)}: no such shard; expected one of {len(tars)}, such as "
                f"{tars[0] if tars else 'none'}: correct the option shards"
            )
        chosen |= dict.fromkeys(found)
    return sorted(chosen)


def _list_shard(store: MemberStore, tar: str, settings: ForeignSettings, found: _Found) -> None:
    """Add what one tar holds, after all of it was scanned."""

    def take(member: Member, file: BinaryIO) -> Member:
        """Only its place: the bytes are read when it is packed."""
        file.seek(member.offset + max(0, member.size - 1))
        if member.size and not file.read(1):
            raise TarError(f"{store.path(tar)}: truncated inside {member.name}; copy it again")
        return member

    samples = scan_samples(store.open_tar(tar), store.path(tar), settings, take)
    if samples.cut is not None:
        found.unusable.append(Skipped(tar, f"the rest of the tar: {samples.cut}"))
    found.skipped.update(skipped.reason for skipped in samples.skipped)
    found.unused.update(samples.unused)
    for key, sample in samples.by_key.items():
        try:
            clip, member, unused = clip_of(sample, shard_stem(tar), settings)
        except NoAudio:
            found.missing.append(f"{tar}!{key}")
        except (ForeignError, SourceError) as error:
            found.unusable.append(Skipped(f"{tar}!{key}", str(error)))
        else:
            found.unused.update(unused)
            found.clips.append(replace(clip, audio=member_name(tar, member)))


def _each_once(clips: Sequence[Clip], store: Store) -> Sequence[Clip]:
    """The clips, after checking that no id is doubled across shards."""
    by_id: dict[str, Clip] = {}
    for clip in clips:
        if (other := by_id.setdefault(clip.source_id, clip)) is not clip:
            raise SourceError(
                f"{store.root}: {clip.source_id!r} is doubled, in {other.audio} and {clip.audio}; "
                f"expected each key once: put the shard's name in front by {hint('id', 'shard')}"
            )
    return clips


def _notes(tars: Sequence[str], found: _Found) -> tuple[str, ...]:
    samples = len(found.clips) + len(found.missing)
    notes = [f"{len(found.clips)} of {samples} samples in {len(tars)} shards have audio"]
    notes += [f"{count} members left out: {why}" for why, count in sorted(found.skipped.items())]
    return (*notes, *unused_notes(found.unused))
