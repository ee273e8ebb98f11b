"""The small rules by which a sample of foreign shards becomes labels: `EXT` or `EXT:PATH`."""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from shards.brace_patterns import ShardUrlError, expand_braces
from shards.clip import Event
from shards.io.store import Store
from shards.packing.tar_scan import Member
from shards.sources._tables import SourceError, event, in_time, separated_rows, split_labels

ONSETS = ("onset", "onset_s", "start", "start_time_seconds")
OFFSETS = ("offset", "offset_s", "end", "end_time_seconds")
LABELS = ("label", "event_label", "class")


class Rule(NamedTuple):
    """Where a value is: a kind of member and a path into its JSON; or, without a kind, a text."""

    kind: str
    path: tuple[str, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        return self.kind + (f":{'.'.join(self.path)}" if self.path else "") or self.text


class Sample(NamedTuple):
    """The members of one key in one tar, and the contents of those that hold labels."""

    shard: str
    key: str
    members: Mapping[str, Member]
    texts: Mapping[str, bytes]

    def value(self, rule: Rule) -> Any:
        """What a rule finds; None where the sample has no such member or value."""
        if not rule.kind:
            return rule.text
        data = self.texts.get(rule.kind)
        if data is None:
            return None
        where = f"{self.shard}!{self.key}.{rule.kind}"
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise SourceError(f"{where}: not UTF-8; expected text: correct the rule") from error
        if rule.kind in ("tsv", "csv"):
            return separated_rows(text, "\t" if rule.kind == "tsv" else ",", where)
        if not rule.path:
            return text.strip()
        try:
            value = json.loads(text)
        except ValueError as error:
            raise SourceError(f"{where}: no JSON ({error}); correct the member") from error
        for name in rule.path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def parse_rule(text: str) -> Rule:
    """`json:a.b`, `cls`, or a plain text such as the subset `weak`.

    What has no path is a kind of member if it is one of those that hold labels by custom.
    """
    kind, colon, path = text.partition(":")
    if colon:
        if not kind or not path:
            raise SourceError(f"rule {text!r}: expected EXT:PATH, such as json:events")
        return Rule(kind.lower(), tuple(path.split(".")))
    if text in ("cls", "txt", "tsv", "csv", "label", "labels", "tags"):
        return Rule(text)
    return Rule("", (), text)


def as_text(value: Any, where: str) -> str:
    """A text or number; empty for none."""
    if value is None:
        return ""
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    raise SourceError(f"{where}: got {type(value).__name__}; expected a text: correct the rule")


def as_labels(value: Any, where: str, classes: Sequence[str]) -> tuple[str, ...] | None:
    """Weak labels from a text, a number or a list of them; None for none."""
    if value is None:
        return None
    if isinstance(value, str):
        value = split_labels(value.replace("\n", ","))
    elif isinstance(value, int):
        value = [value]
    if not isinstance(value, list | tuple):
        raise SourceError(f"{where}: got {type(value).__name__}; expected labels: correct the rule")
    return tuple(sorted({_label(each, where, classes) for each in value}))


def as_events(value: Any, where: str, classes: Sequence[str]) -> tuple[Event, ...] | None:
    """Events from a list of objects or rows; None for none."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise SourceError(
            f"{where}: got {type(value).__name__}; expected a list of objects with onset, offset "
            "and label: correct the rule"
        )
    events = []
    for each in value:
        onset, offset, label = (_named(each, names, where) for names in (ONSETS, OFFSETS, LABELS))
        if (onset, offset, label) != ("", "", ""):  # a row of a clip without events
            events.append(event(str(onset), str(offset), _label(label, where, classes), where))
    return in_time(events)


def _named(row: Mapping[str, Any], names: Sequence[str], where: str) -> Any:
    for name in names:
        if name in row:
            return row[name]
    raise SourceError(f"{where}: got an event of {', '.join(row)}; expected one of {names}")


def _label(value: Any, where: str, classes: Sequence[str]) -> str:
    text = as_text(value, where)
    if not classes or not text.isdecimal():
        return text
    if int(text) >= len(classes):
        raise SourceError(f"{where}: got the class {text}; expected 0 to {len(classes) - 1}")
    return classes[int(text)]


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
