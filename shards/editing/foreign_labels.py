"""What the small members beside foreign audio say of it: JSON, class numbers, texts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shards.clip import Event
from shards.errors import ShardsError

LabelsFrom = Literal["auto", "json", "cls", "txt", "none"]
WEAK_FIELDS = ("weak", "labels", "label", "tags", "tag", "classes", "class")
EVENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "onset_s": ("onset_s", "onset", "start", "start_time_seconds"),
    "offset_s": ("offset_s", "offset", "end", "end_time_seconds"),
    "label": ("label", "event_label"),
}


class ForeignError(ShardsError, ValueError):
    """Foreign shards that cannot be indexed as they are; the message is one line."""


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

    @property
    def kind(self) -> str:
        """The subset that its labels suggest."""
        if self.events is not None:
            return "strong"
        return "unlabeled" if self.weak is None else "weak"


def describe(
    texts: Mapping[str, bytes],
    where: str,
    *,
    labels: LabelsFrom = "auto",
    field: str | None = None,
    classes: Sequence[str] | None = None,
) -> Described:
    """The description of one clip.

    Args:
        texts: the bytes of its members `json`, `cls` and `txt`, as far as it has them.
        where: what errors call the clip.
        labels: which member the labels are in. `auto` takes JSON's, else those of `cls`.
        field: of the JSON, that holds the weak labels; by default the first of `WEAK_FIELDS`.
        classes: names of the class numbers.

    Raises:
        ForeignError: a member is not what its name says, or a label is no text and no number
            of a class.
    """
    values = _json(texts["json"], where) if "json" in texts else {}
    if _is_ours(values):
        return _ours(values, where)
    meta = dict(values)
    weak: tuple[str, ...] | None = None
    events: tuple[Event, ...] | None = None
    if labels in ("auto", "json"):
        events = _events(meta.pop("events", None), where, classes)
        name = field or next((name for name in WEAK_FIELDS if name in meta), None)
        weak = _weak(meta.pop(name, None) if name else None, where, classes)
    if "cls" in texts and (labels == "cls" or (labels == "auto" and weak is None)):
        weak = (_label(_number(_text(texts["cls"], where)), where, classes),)
    if "txt" in texts:
        text = _text(texts["txt"], where)
        if labels == "txt":
            weak = _weak([part.strip() for part in text.split(",")], where, classes)
        else:  # captions, most of the time
            meta["text"] = text
    subset = next((meta.pop(n) for n in ("subset", "split") if isinstance(meta.get(n), str)), None)
    return Described(
        subset=subset,
        recording=meta.pop("recording") if isinstance(meta.get("recording"), str) else None,
        fold=meta.pop("fold") if type(meta.get("fold")) is int else None,
        weak=weak,
        events=events,
        meta=meta,
    )


def _is_ours(values: Mapping[str, Any]) -> bool:
    return {"id", "subset", "recording", "fold", "weak", "events", "meta", "source"} <= set(values)


def _ours(values: Mapping[str, Any], where: str) -> Described:
    """The JSON that `pmam pack` writes."""
    try:
        return Described(
            source_id=str(values["id"]),
            subset=str(values["subset"]),
            recording=values["recording"],
            fold=values["fold"],
            weak=None if values["weak"] is None else tuple(map(str, values["weak"])),
            events=_events(values["events"], where, None),
            meta=dict(values["meta"]),
        )
    except (TypeError, ValueError) as error:
        raise ForeignError(f"{where}: a damaged clip description ({error})") from error


def _json(data: bytes, where: str) -> dict[str, Any]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ForeignError(
            f"{where}: its JSON cannot be read ({' '.join(str(error).split())}); correct it"
        ) from error
    return dict(values) if isinstance(values, dict) else {"json": values}


def _events(value: Any, where: str, classes: Sequence[str] | None) -> tuple[Event, ...] | None:
    if value is None:
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
    if isinstance(value, str) and value:
        return value
    if type(value) is not int:
        raise ForeignError(
            f"{where}: got the label {value!r}; expected text or the number of a class; "
            "name the field that holds the labels with --label-field"
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
        raise ForeignError(f"{where}: its text is not UTF-8: convert it") from error
