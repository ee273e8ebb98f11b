"""AOEF, the Acoustic Objects Exchange Format of soundevent: recordings, events, clips and tags.

Plain JSON after its schema 1.1.0, and tested against the library soundevent, which takes and gives
paths alone. Where all events have scores they are a prediction set, else an annotation set; what
one of them has no place for is a tag. Identifiers are hashes of names: the same events are the same
bytes.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from shards.annotations.delimited import field_text
from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
    read_event,
    readable,
)
from shards.annotations.format import Content, Format
from shards.errors import Faults

VERSION = "1.1.0"
DATE = "1970-01-01T00:00:00"  # the schema wants one
RATE_HZ = 44100  # the schema wants one: where that of the audio is not known
LABEL = "event"  # the key of the tag that is an event's label
# What others call it; the first that is there is taken.
LABELS = (LABEL, "label", "class", "species", "scientific_name", "dwc:scientificName")
_SPACE = uuid.UUID("6b1f2a52-3f06-5d1c-9f3e-2f1f3b9f1d10")


def recognises(content: Content) -> bool:
    """By its kind of collection."""
    values = content.json
    return isinstance(values, dict) and "collection_type" in (values.get("data") or ())


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_SPACE, "\0".join(map(str, parts))))


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One collection of all files."""
    files = list(files)
    events = [event for file in files for event in file.events]
    scored = bool(events) and all(event.score is not None for event in events)
    tags: dict[tuple[str, str], int] = {}
    users: dict[str, str] = {}
    found: dict[str, list[Any]] = {name: [] for name in ("recordings", "clips", "sound_events")}
    of_events, of_clips = [], []
    for file in files:
        recording, clip = _id("recording", file.file), _id("clip", file.file)
        about = {"uuid": recording, "path": file.file, "duration": file.end_s(), "channels": 1}
        found["recordings"].append(about | {"samplerate": file.sample_rate_hz or RATE_HZ})
        span = {"start_time": 0.0, "end_time": file.end_s()}
        found["clips"].append({"uuid": clip, "recording": recording} | span)
        ids = []
        for count, event in enumerate(file.events):
            sound, mark = (_id(kind, file.file, count) for kind in ("sound_event", "annotation"))
            ids.append(mark)
            shape = {"uuid": sound, "recording": recording, "geometry": _geometry(event)}
            found["sound_events"].append(shape)
            pairs = [(LABEL, event.label), *event.extra.items()]
            each: dict[str, Any] = {"uuid": mark, "sound_event": sound}
            if scored:
                each["score"] = event.score
                pairs += _as_tags(event, "notes", "annotator")
            else:
                pairs += _as_tags(event, "score")
                if event.notes is not None:
                    each["notes"] = [{"uuid": _id("note", mark), "message": event.notes}]
                if event.annotator is not None:
                    who = users.setdefault(event.annotator, _id("user", event.annotator))
                    each["created_by"] = who
            numbers = [tags.setdefault(pair, len(tags)) for pair in pairs]
            each["tags"] = [[n, event.score] for n in numbers] if scored else numbers
            of_events.append(each)
        of_clips.append({"uuid": _id("clip_marks", file.file), "clip": clip, "sound_events": ids})
    kind = "prediction" if scored else "annotation"
    collection = {"uuid": _id(kind, *(file.file for file in files)), **found}
    collection |= {"collection_type": f"{kind}_set", "created_on": DATE, "name": "events"}
    collection["tags"] = [{"id": n, "key": k, "value": v} for (k, v), n in tags.items()]
    collection["users"] = [{"uuid": each, "name": name} for name, each in users.items()]
    collection |= {f"sound_event_{kind}s": of_events, f"clip_{kind}s": of_clips}
    whole = {"version": VERSION, "created_on": DATE, "data": collection}
    yield (json.dumps(whole, ensure_ascii=False) + "\n").encode()


def _as_tags(event: SoundEvent, *fields: str) -> list[tuple[str, str]]:
    """Fields that a prediction, or an annotation, has no place for."""
    return [(field, text) for field in fields if (text := field_text(event, field))]


def _geometry(event: SoundEvent) -> dict[str, Any]:
    times = (round(event.onset_s, 6), round(event.offset_s, 6))
    if event.low_hz is not None and event.high_hz is not None:
        box = [times[0], event.low_hz, times[1], event.high_hz]
        return {"type": "BoundingBox", "coordinates": box}
    if times[0] == times[1]:
        return {"type": "TimeStamp", "coordinates": times[0]}
    return {"type": "TimeInterval", "coordinates": list(times)}


def read(content: Content) -> list[AnnotatedFile]:
    """The events of every recording, with the bounds of their shapes."""
    path = content.path
    with readable(path, "AOEF"):
        data = content.json["data"]
        tags = {each["id"]: (each["key"], each["value"]) for each in data.get("tags") or []}
        users = {
            each["uuid"]: each.get("name") or each.get("username")
            for each in data.get("users") or []
        }
        shapes = {each["uuid"]: each for each in data.get("sound_events") or []}
        marks = data.get("sound_event_annotations") or data.get("sound_event_predictions") or []
        by_recording: dict[str, list[SoundEvent]] = {
            each["uuid"]: [] for each in data.get("recordings") or []
        }
    faults = Faults(AnnotationError)
    for number, mark in enumerate(marks, start=1):
        where = f"{path} annotated event {number}"
        with faults.noted(), readable(where, "AOEF"):
            shape = shapes[mark["sound_event"]]
            event = _event(mark, shape["geometry"], tags, users.get, where)
            by_recording[shape["recording"]].append(event)
    recordings = []
    with faults.noted(), readable(path, "AOEF"):
        recordings = _recordings(data, by_recording)
    faults.check()
    return recordings


def _recordings(
    data: dict[str, Any], events: Mapping[str, Sequence[SoundEvent]]
) -> list[AnnotatedFile]:
    return [
        AnnotatedFile(
            file=str(each["path"]),
            events=tuple(events[each["uuid"]]),
            duration_s=float(each["duration"]),
            sample_rate_hz=int(each["samplerate"]),
        )
        for each in data.get("recordings") or []
    ]


def _event(
    mark: dict[str, Any],
    geometry: dict[str, Any],
    tags: dict[int, tuple[str, str]],
    user: Callable[[str | None], str | None],
    where: str,
) -> SoundEvent:
    numbers = [n[0] if isinstance(n, list) else n for n in mark.get("tags") or []]
    pairs: dict[str, Any] = dict(reversed([tags[n] for n in numbers]))
    key = next((name for name in LABELS if name in pairs), next(reversed(pairs), None))
    label = "" if key is None else pairs.pop(key)
    low_s, low_hz, high_s, high_hz = bounds(geometry)
    notes = [each["message"] for each in mark.get("notes") or []]
    score = mark.get("score", pairs.pop("score", None))
    who = user(mark.get("created_by")) or pairs.pop("annotator", None)
    texts = "\n".join(notes) or pairs.pop("notes", None)
    return read_event(
        where,
        onset_s=low_s,
        offset_s=high_s,
        label=label,
        score=None if score is None else float(score),
        low_hz=low_hz,
        high_hz=high_hz,
        annotator=who,
        notes=texts,
        extra=dict(reversed(pairs.items())),
    )


def bounds(geometry: dict[str, Any]) -> tuple[float, float | None, float, float | None]:
    """Onset, lowest frequency, offset and highest frequency of a shape.

    Raises:
        ValueError: a kind of shape that is not known.
    """
    kind, at = geometry["type"], geometry["coordinates"]
    if kind == "TimeStamp":
        return float(at), None, float(at), None
    if kind == "TimeInterval":
        return float(at[0]), None, float(at[1]), None
    if kind == "BoundingBox":
        return float(at[0]), float(at[1]), float(at[2]), float(at[3])
    depth = {"Point": 0, "LineString": 1, "MultiPoint": 1, "Polygon": 2, "MultiLineString": 2}
    depth["MultiPolygon"] = 3
    if kind not in depth:
        raise ValueError(f"a shape of the kind {kind!r}")
    points = [at]
    for _ in range(depth[kind]):
        points = [point for group in points for point in group]
    times, frequencies = zip(*points, strict=True)
    return min(times), min(frequencies), max(times), max(frequencies)


AOEF = Format(
    title="AOEF (soundevent)",
    suffix=".aoef.json",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"score", "low_hz", "high_hz", "annotator", "notes"}),
    holds_extra=True,
)
