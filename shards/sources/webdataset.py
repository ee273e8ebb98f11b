"""Anybody's WebDataset shards: tars, also packed by gzip, below one folder, local or remote.

A member `KEY.EXT` belongs to the sample `KEY`; as in WebDataset the name is cut at its first dot
and EXT counts in lower case. Options, each a rule `EXT`, or `EXT:PATH` into a JSON member:

    audio flac,wav     which members are the audio, the first that a sample has
    events json:events a list of objects, or a TSV or CSV member, with onset, offset and label
    labels cls         weak labels: a JSON list, or text with commas or lines between them
    subset json:split  or a plain name such as weak; `recording` and `fold` likewise
    classes dog,cat    what labels that are numbers mean
    shards a-{000..7}.tar,b*.tar   which tars, with ranges and wildcards
    id shard           ids get the shard's name in front, where keys are doubled
    keys last_dot      cut names at their last dot: for keys such as Yabc_460.000_470.000

Without rules, the JSON members of our own shards are understood. Nothing is unpacked to disk.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from shards.audio.decoding import STORED_SUFFIXES
from shards.clip import Clip
from shards.editing.foreign import split_name
from shards.io.store import Store
from shards.io.tar_members import TAR_SUFFIXES, MemberStore, member_name
from shards.packing.tar_scan import Member, scan_members
from shards.sources._tables import Options, SourceError, SourceListing, check_options
from shards.sources._webdataset_rules import (
    Rule,
    Sample,
    as_events,
    as_labels,
    as_text,
    expand_shards,
    parse_rule,
)

OPTIONS = (
    "audio",
    "classes",
    "events",
    "fold",
    "id",
    "keys",
    "labels",
    "recording",
    "shards",
    "subset",
)
# What our own shards' JSON members hold, where no rule is given.
DEFAULTS = {
    "id": "json:id",
    "events": "json:events",
    "labels": "json:weak",
    "subset": "json:subset",
    "recording": "json:recording",
    "fold": "json:fold",
}
MAX_LABEL_BYTES = 16 << 20  # of one label member


class Rules(NamedTuple):
    """How members become clips."""

    audio: tuple[str, ...]
    keys: Literal["first_dot", "last_dot"]
    by_shard: bool
    read: frozenset[str]  # the kinds of member that hold labels
    rules: Mapping[str, Rule]
    given: frozenset[str]
    classes: tuple[str, ...]


@dataclass
class _Scan:
    """What all shards together hold."""

    clips: list[Clip] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # samples without audio
    extra: list[str] = field(default_factory=list)  # second audio members
    skipped: Counter[str] = field(default_factory=Counter)  # by reason
    kinds: Counter[str] = field(default_factory=Counter)  # of all members
    answered: set[str] = field(default_factory=set)  # rules that found something


def webdataset(store: Store, options: Options) -> SourceListing:
    """List the samples of all shards that have audio."""
    rules = read_options(options)
    tars = [name for name in store.names() if name.endswith(TAR_SUFFIXES)]
    if "shards" in options:
        tars = expand_shards(options["shards"], tars, store)
    if not tars:
        raise SourceError(
            f"{store.root}: got no tars ({', '.join(TAR_SUFFIXES)}); expected a folder of "
            "WebDataset shards: check the path"
        )
    members = MemberStore(store)
    scan = _Scan()
    for tar in tars:
        for sample in _samples(members, tar, rules, scan):
            _take(sample, rules, scan)
    clips = scan.clips
    if not clips:
        raise SourceError(
            f"{store.root}: got no audio in {len(tars)} tars, but members that end in "
            f"{', '.join(sorted(scan.kinds)) or 'nothing'}; name the audio by --options audio "
            "EXT, or cut names by --options keys last_dot"
        )
    for name in sorted(rules.given - scan.answered):
        raise SourceError(
            f"{store.root}: the rule {name} {rules.rules[name]} finds nothing in {len(clips)} "
            f"samples, whose members end in {', '.join(sorted(scan.kinds))}; correct it"
        )
    labels = {label for clip in clips for label in clip.weak or ()}
    labels |= {event.label for clip in clips for event in clip.events or ()}
    labelled = any(clip.weak is not None or clip.events is not None for clip in clips)
    return SourceListing(
        clips=tuple(_each_once(clips, store)),
        classes=rules.classes or (tuple(sorted(labels)) if labelled else None),
        keeps_classes=bool(rules.classes),
        missing=tuple(scan.missing),
        extra=tuple(scan.extra),
        unlabelled=tuple(
            clip.audio for clip in clips if labelled and clip.weak is None and clip.events is None
        ),
        notes=_notes(tars, scan, rules),
    )


def read_options(options: Options) -> Rules:
    """The options as rules; `SourceError` for one that is unknown or wrong by itself."""
    check_options(options, OPTIONS, "webdataset")
    suffixes = ",".join(suffix[1:] for suffix in STORED_SUFFIXES)
    for name, allowed in (("keys", ("first_dot", "last_dot")), ("id", ("key", "shard"))):
        if options.get(name, allowed[0]) not in allowed:
            raise SourceError(
                f"option {name}: got {options[name]!r}; expected {' or '.join(allowed)}"
            )
    given = frozenset(DEFAULTS.keys() & options.keys()) - {"id"}
    rules = {
        name: parse_rule(options.get(name, default) if name in given else default)
        for name, default in DEFAULTS.items()
    }
    return Rules(
        audio=tuple(kind.strip().lower() for kind in options.get("audio", suffixes).split(",")),
        keys="last_dot" if options.get("keys") == "last_dot" else "first_dot",
        by_shard=options.get("id") == "shard",
        read=frozenset(rule.kind for rule in rules.values() if rule.kind) | {"json"},
        rules=rules,
        given=given,
        classes=tuple(name.strip() for name in options.get("classes", "").split(",") if name),
    )


def _samples(store: MemberStore, tar: str, rules: Rules, scan: _Scan) -> Iterator[Sample]:
    """The samples of one tar, after all of it was scanned."""
    members: dict[str, dict[str, Member]] = defaultdict(dict)
    texts: dict[str, dict[str, bytes]] = defaultdict(dict)
    file = store.open_tar(tar)

    def on_skip(_: str, reason: str) -> None:
        scan.skipped[reason] += 1

    for member in scan_members(file, store.path(tar), on_skip):
        key, kind = split_name(member.name, rules.keys)
        if not key:
            scan.skipped["no KEY.EXT"] += 1
            continue
        if kind in members[key]:
            raise SourceError(
                f"{store.path(tar)}: got {members[key][kind].name} and {member.name}, both .{kind} "
                f"of the sample {key!r}; expected one: write the shard again, or try "
                "--options keys last_dot"
            )
        members[key][kind] = member
        scan.kinds[kind] += 1
        if kind in rules.read:
            if member.size > MAX_LABEL_BYTES:
                raise SourceError(
                    f"{store.path(tar)}: {member.name} has {member.size} bytes; expected labels of "
                    f"{MAX_LABEL_BYTES} at most: correct the rule"
                )
            file.seek(member.offset)
            texts[key][kind] = file.read(member.size)
    for key, of_key in members.items():
        yield Sample(tar, key, of_key, texts.get(key, {}))


def _take(sample: Sample, rules: Rules, scan: _Scan) -> None:
    """Make a clip of a sample that has audio."""
    audio = [kind for kind in rules.audio if kind in sample.members]
    if not audio:
        scan.missing.append(f"{sample.shard}!{sample.key}")
        return
    scan.extra += [member_name(sample.shard, sample.members[kind]) for kind in audio[1:]]
    found = {name: sample.value(rule) for name, rule in rules.rules.items()}
    scan.answered |= {name for name, value in found.items() if value is not None}
    scan.clips.append(_clip(sample, audio[0], rules, found))


def _clip(sample: Sample, audio: str, rules: Rules, found: Mapping[str, Any]) -> Clip:
    where = f"{sample.shard}!{sample.key}"
    events = as_events(found["events"], where, rules.classes)
    weak = as_labels(found["labels"], where, rules.classes)
    subset = as_text(found["subset"], f"{where}: subset")
    if not subset:
        subset = "strong" if events is not None else "weak" if weak is not None else "unlabeled"
    fold = as_text(found["fold"], f"{where}: fold")
    if fold and not re.fullmatch("-?[0-9]{1,9}", fold):
        raise SourceError(f"{where}: got the fold {fold!r}; expected a whole number")
    own_id = None if "json" not in sample.texts else as_text(found["id"], f"{where}: id")
    stem = sample.shard.removesuffix(".gz").removesuffix(".tar").removesuffix(".tgz")
    meta = sample.value(Rule("json", ("meta",)))
    return Clip(
        source_id=f"{stem}/{sample.key}" if rules.by_shard else own_id or sample.key,
        audio=member_name(sample.shard, sample.members[audio]),
        subset=subset,
        recording=as_text(found["recording"], f"{where}: recording") or None,
        fold=int(fold) if fold else None,
        weak=weak,
        events=events,
        meta=meta if isinstance(meta, dict) else {},
    )


def _each_once(clips: Sequence[Clip], store: Store) -> Sequence[Clip]:
    """The clips, after checking that no id is doubled across shards."""
    by_id: dict[str, Clip] = {}
    for clip in clips:
        if (other := by_id.setdefault(clip.source_id, clip)) is not clip:
            raise SourceError(
                f"{store.root}: {clip.source_id!r} is doubled, in {other.audio} and {clip.audio}; "
                "expected each key once: put the shard's name in front by --options id shard"
            )
    return clips


def _notes(tars: Sequence[str], scan: _Scan, rules: Rules) -> tuple[str, ...]:
    samples = len(scan.clips) + len(scan.missing)
    notes = [f"{len(scan.clips)} of {samples} samples in {len(tars)} shards have audio"]
    notes += [f"{count} members left out: {why}" for why, count in sorted(scan.skipped.items())]
    unread = {kind: n for kind, n in scan.kinds.items() if kind not in (*rules.audio, *rules.read)}
    notes += [f"{count} members .{kind} not used" for kind, count in sorted(unread.items())]
    if dotted := [kind for kind in unread if kind.endswith(STORED_SUFFIXES)]:
        notes.append(
            f"names such as *.{dotted[0]} are cut at their first dot, as WebDataset does: "
            "--options keys last_dot cuts at the last"
        )
    return tuple(notes)
