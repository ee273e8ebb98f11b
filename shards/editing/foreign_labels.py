"""What the small members beside foreign audio say of it: JSON, class numbers, tables, texts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shards.clip import Event
from shards.editing.foreign_rules import (
    BY_CUSTOM,
    TABLES,
    ForeignError,
    ForeignSettings,
    Rule,
    field_rule,
    hint,
    member_rule,
)
from shards.tables.rows import separated_rows

FOLD = "-?[0-9]{1,9}"
WEAK_FIELDS = ("weak", "labels", "label", "tags", "tag", "classes", "class")
EVENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "onset_s": ("onset_s", "onset", "start", "start_time_seconds"),
    "offset_s": ("offset_s", "offset", "end", "end_time_seconds"),
    "label": ("label", "event_label", "class"),
}


@dataclass(frozen=True, kw_only=True)
class Described:
    """What is known of a clip besides its audio."""

    source_id: str | None = None
    subset: str | None = None
    recording: str | None = None
    fold: int | None = None
    weak: tuple[str, ...] | None = None
    events: tuple[Event, ...] | None = None
    meta: Mapping[str, Any]
    unused: tuple[str, ...] = ()  # kinds of member that were not needed

    @property
    def kind(self) -> str:
        """The subset that its labels suggest."""
        if self.events is not None:
            return "strong"
        return "unlabeled" if self.weak is None else "weak"


def describe(texts: Mapping[str, bytes], where: str, settings: ForeignSettings) -> Described:
    """The description of one clip.

    Args:
        texts: the bytes of its members by suffix, as far as it has those of `settings.kinds`.
        where: what errors call the clip.
        settings: the rule.

    Raises:
        ForeignError: a member is not what its name says, a label is no text and no number of a
            class, or a field that is asked for has no text.
    """
    sample = _Sample(texts, where, settings)
    base = sample.ours() or sample.by_custom()
    return Described(
        source_id=sample.given("id", None) or base.source_id,
        subset=sample.given("subset", base.subset),
        recording=sample.given("recording", base.recording),
        fold=sample.fold(base.fold),
        weak=base.weak,
        events=base.events,
        meta=sample.values,
        unused=sample.unused,
    )


class _Sample:
    """The texts of one clip while they are read; `values` is what becomes metadata."""

    def __init__(self, texts: Mapping[str, bytes], where: str, settings: ForeignSettings) -> None:
        self.texts, self.where, self.settings = texts, where, settings
        self.json = _json(texts["json"], where) if "json" in texts else {}
        self.values: dict[str, Any] = dict(self.json) if settings.labels != "none" else {}
        self.unused: tuple[str, ...] = ()

    def ours(self) -> Described | None:
        """By the JSON that `pmam pack` writes, if it is that and nothing else was asked for."""
        own = {"id", "subset", "recording", "fold", "weak", "events", "meta", "source"}
        by_default = self.settings.labels in ("auto", "json") and self.settings.events == "auto"
        if not own <= set(self.json) or not by_default:
            return None
        values = self.json
        try:
            self.values = dict(values["meta"])
            return Described(
                source_id=str(values["id"]),
                subset=str(values["subset"]),
                recording=values["recording"],
                fold=values["fold"],
                weak=None if values["weak"] is None else tuple(map(str, values["weak"])),
                events=_events(values["events"], self.where, None),
                meta=self.values,
            )
        except (TypeError, ValueError) as error:
            raise ForeignError(f"{self.where}: a damaged clip description ({error})") from error

    def by_custom(self) -> Described:
        """By the fields that people use, and by the rules that were given."""
        events, weak = self.events(), self.weak()
        if "txt" in self.texts and self.settings.labels not in ("txt", "none"):
            self.values["text"] = _text(self.texts["txt"], self.where)  # captions, mostly
        values = self.values
        split = next((n for n in ("subset", "split") if isinstance(values.get(n), str)), None)
        recording, fold = values.get("recording"), str(values.get("fold"))
        recorded = isinstance(recording, str | int) and not isinstance(recording, bool)
        return Described(
            subset=values.pop(split) if split else None,
            recording=str(values.pop("recording")) if recorded else None,
            fold=int(values.pop("fold")) if re.fullmatch(FOLD, fold) else None,
            weak=weak,
            events=events,
            meta=values,
        )

    def events(self) -> tuple[Event, ...] | None:
        rule, classes = self.settings.events, self.settings.classes
        if rule in BY_CUSTOM:
            return _events(self.values.pop("events", None), self.where, classes, rule == "auto")
        chosen = member_rule(rule, "events")
        if chosen.kind in TABLES:
            return _events(self.rows(chosen.kind), self.where, classes)
        return _events(self.taken(chosen), self.where, classes)

    def weak(self) -> tuple[str, ...] | None:
        labels, classes = self.settings.labels, self.settings.classes
        if labels == "none":
            return None
        weak = None
        if labels in ("auto", "json"):
            name = next((name for name in WEAK_FIELDS if name in self.values), None)
            weak = _weak(self.values.pop(name) if name else None, self.where, classes)
            if "cls" in self.texts and weak is not None:
                self.unused = ("cls",)
            if labels == "json" or weak is not None:
                return weak
        rule = Rule("cls") if labels == "auto" else member_rule(labels, "labels")
        if rule.path:
            return _weak(self.taken(rule), self.where, classes)
        if rule.kind not in self.texts:
            return None
        text = _text(self.texts[rule.kind], self.where)
        if rule.kind == "cls":  # one class, whose name may hold a comma
            return (_label(_number(text), self.where, classes),)
        parts = (part.strip() for part in re.split("[,\n]", text))
        return _weak([part for part in parts if part], self.where, classes)

    def given(self, name: str, default: str | None) -> str | None:
        """The text that an option names: a field of the JSON, or itself."""
        text = getattr(self.settings, name)
        if text is None or (name == "id" and ":" not in text):
            return default
        rule = field_rule(text, name)
        if rule is None:
            return str(text)
        value = self.taken(rule)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            got = "nothing" if value is None else json.dumps(value)[:80]
            raise ForeignError(f"{self.where}: got {got} at {rule}; expected a text: {name}")
        return str(value)

    def fold(self, default: int | None) -> int | None:
        text = self.given("fold", None)
        if text is None:
            return default
        if not re.fullmatch(FOLD, text):
            raise ForeignError(f"{self.where}: got the fold {text!r}; expected a whole number")
        return int(text)

    def taken(self, rule: Rule) -> Any:
        """A value of the JSON, which is no longer metadata if it is a field of its own."""
        if len(rule.path) == 1:
            self.values.pop(rule.path[0], None)
        value: Any = self.json
        for name in rule.path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def rows(self, kind: str) -> list[Mapping[str, str]] | None:
        if kind not in self.texts:
            return None
        text = _text(self.texts[kind], self.where)
        found = separated_rows(text, "\t" if kind == "tsv" else ",", f"{self.where}.{kind}")
        return [row for row in found if any(row.values())]


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ForeignError(
            f"{where}: its JSON cannot be read ({reason}); correct it, or do without: "
            + hint("labels", "none")
        ) from error
    return dict(values) if isinstance(values, dict) else {"json": values}


def _events(
    value: Any, where: str, classes: Sequence[str] | None, wanted: bool = True
) -> tuple[Event, ...] | None:
    if value is None or not wanted:
        return None
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ForeignError(
            f"{where}: got events that are no list of objects; expected onset, offset and label"
        )
    events = []
    for item in value:
        found: dict[str, Any] = {
            ours: next((item[name] for name in names if name in item), None)
            for ours, names in EVENT_FIELDS.items()
        }
        if all(part == "" for part in found.values()):
            continue  # a row of a clip without events
        try:
            onset_s, offset_s = float(found["onset_s"]), float(found["offset_s"])
        except (TypeError, ValueError) as error:
            raise ForeignError(
                f"{where}: got the event {json.dumps(item)[:200]}; expected onset and offset in "
                "seconds, and a label"
            ) from error
        events.append(Event(onset_s, offset_s, _label(found["label"], where, classes)))
    return tuple(sorted(events, key=lambda each: (each.onset_s, each.offset_s, each.label)))


def _weak(value: Any, where: str, classes: Sequence[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    values = value if isinstance(value, list) else [value]
    return tuple(dict.fromkeys(_label(item, where, classes) for item in values if item != ""))


def _label(value: Any, where: str, classes: Sequence[str] | None) -> str:
    if classes and isinstance(value, str) and value not in classes:
        value = _number(value)
    if isinstance(value, str) and value:
        return value
    if type(value) is not int:
        raise ForeignError(
            f"{where}: got the label {value!r}; expected text or the number of a class; name the "
            "field that holds the labels: " + hint("labels", "json:FIELD")
        )
    if classes is None:
        return str(value)
    if not 0 <= value < len(classes):
        raise ForeignError(
            f"{where}: got class {value}; expected 0 to {len(classes) - 1}, as --classes has them"
        )
    return classes[value]


def _number(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ForeignError(
            f"{where}: its text is not UTF-8: convert it, or do without: " + hint("labels", "none")
        ) from error
