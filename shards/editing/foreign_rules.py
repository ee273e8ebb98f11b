"""The one set of rules by which members of foreign tars become clips: of reindex and of pack."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from shards.errors import ShardsError

BY_CUSTOM = ("auto", "none")
TABLES = ("tsv", "csv")


class ForeignError(ShardsError, ValueError):
    """Foreign shards that cannot be used as they are; the message is one line."""


class Rule(NamedTuple):
    """Where a value is: a kind of member, by its suffix, and a path into its JSON."""

    kind: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.kind + (f":{'.'.join(self.path)}" if self.path else "")


@dataclass(frozen=True, kw_only=True)
class ForeignSettings:
    """How the members of foreign tars become clips."""

    # End of a sample's key: the first dot of a member's name, as in WebDataset, or the last one.
    keys: Literal["first_dot", "last_dot"] = "first_dot"
    # Id of a clip: its key; shard, which puts the name of the shard in front, for keys that come
    # in several shards; or a field of the JSON, such as json:id.
    id: str = "key"
    # Suffix of the audio member, such as flac or left.wav, where a sample has several, or a list
    # of suffixes with commas, of which the first one that a sample has is taken.
    audio: str | None = None
    # Member that holds the weak labels: json, cls, txt or another suffix, or a field of the JSON,
    # such as json:tag. auto takes the JSON's weak, labels, label, tags and the like, else cls;
    # none reads the audio alone.
    labels: str = "auto"
    # Member that holds the events: tsv or csv, or a field of the JSON, such as json:ev.list. auto
    # takes the JSON's events, unless labels is none.
    events: str = "auto"
    # Subset of all clips, or a field of the JSON, such as json:split; by default as the JSON says,
    # else strong, weak or unlabeled by the labels.
    subset: str | None = None
    # Source recording of the clips: a field of the JSON; by default its field recording.
    recording: str | None = None
    # Fold of the clips: a field of the JSON, or a number; by default its field fold.
    fold: str | None = None
    # Classes, in the order of their numbers; by default all labels found.
    classes: tuple[str, ...] | None = None
    # What to do at an unusable clip, or a tar that has no end: fail, or leave it out and list it.
    on_error: Literal["fail", "skip"] = "fail"

    def __post_init__(self) -> None:
        if self.keys not in ("first_dot", "last_dot"):
            raise ForeignError(f"keys: got {self.keys!r}; expected first_dot or last_dot")
        if self.id not in ("key", "shard") and field_rule(self.id, "id") is None:
            raise ForeignError(f"id: got {self.id!r}; expected key, shard or json:FIELD")
        events = None if self.events in BY_CUSTOM else member_rule(self.events, "events")
        if events is not None and not events.path and events.kind not in TABLES:
            raise ForeignError(
                f"events: got {self.events!r}; expected auto, none, tsv, csv or json:FIELD"
            )
        if self.labels not in BY_CUSTOM:
            member_rule(self.labels, "labels")
        for name in ("subset", "recording", "fold"):
            field_rule(getattr(self, name) or "", name)
        fold = self.fold or ""
        if fold and ":" not in fold and not fold.removeprefix("-").isdecimal():
            raise ForeignError(f"fold: got {fold!r}; expected json:FIELD or a whole number")

    @property
    def audio_suffixes(self) -> tuple[str, ...]:
        """The suffixes that were chosen for the audio, without dots; empty for all known ones."""
        names = (name.strip().removeprefix(".").lower() for name in (self.audio or "").split(","))
        return tuple(name for name in names if name)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of member that are read beside the audio."""
        kinds: set[str] = set()
        if self.labels != "none":
            kinds |= {"json", "txt"}
        if self.labels == "auto":
            kinds.add("cls")
        given = [self.labels, self.events]
        kinds |= {member_rule(text, "").kind for text in given if text not in BY_CUSTOM}
        fields = (self.id, self.subset, self.recording, self.fold)
        return frozenset(kinds | {"json" for text in fields if text and ":" in text})


def member_rule(text: str, option: str) -> Rule:
    """`json:a.b` or a suffix such as `cls` as a rule."""
    kind, colon, path = text.partition(":")
    kind = kind.strip().removeprefix(".").lower()
    if not kind or (colon and (not path or kind != "json")):
        raise ForeignError(
            f"{option}: got {text!r}; expected a suffix such as cls, or json:FIELD, such as "
            "json:a.b"
        )
    return Rule(kind, tuple(path.split(".")) if path else ())


def field_rule(text: str, option: str) -> Rule | None:
    """`json:a.b` as a rule; None for any other text, which stands for itself."""
    return member_rule(text, option) if ":" in text else None


def hint(option: str, value: str) -> str:
    """How an option is given, in a message that both commands show."""
    return f"--{option} {value} (pmam pack: --options {option} {value})"
