"""JAMS, the JSON Annotated Music Specification: events as `segment_open`; Scaper's are read too.

Plain JSON, written by hand: the library jams brings pandas and mir_eval, and its files are tested
against ours. An annotation is what one annotator found. https://jams.readthedocs.io
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from shards.annotations.event import AnnotatedFile, AnnotationError, Columns, SoundEvent
from shards.annotations.format import Content, Format

VERSION = "0.3.5"
NAMESPACE = "segment_open"


def recognises(content: Content) -> bool:
    """By its two parts."""
    values = content.json
    return isinstance(values, dict) and {"annotations", "file_metadata"} <= set(values)


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One document."""
    for file in files:
        by_whom: dict[str | None, list[SoundEvent]] = {}
        for event in file.events:
            by_whom.setdefault(event.annotator, []).append(event)
        annotations = [_annotation(who, events) for who, events in (by_whom or {None: []}).items()]
        about = {"title": file.file, "artist": "", "release": "", "duration": file.end_s()}
        about |= {"identifiers": {"filename": file.file}, "jams_version": VERSION}
        whole = {"annotations": annotations, "file_metadata": about, "sandbox": {}}
        yield (json.dumps(whole, ensure_ascii=False, indent=2) + "\n").encode()


def _annotation(who: str | None, events: list[SoundEvent]) -> dict[str, Any]:
    data = [
        {
            "time": round(event.onset_s, 6),
            "duration": round(event.offset_s - event.onset_s, 6),
            "value": event.label,
            "confidence": event.score,
        }
        for event in sorted(events, key=lambda each: each.onset_s)
    ]
    texts = ("version", "corpus", "annotation_tools", "annotation_rules", "validation")
    about: dict[str, Any] = dict.fromkeys((*texts, "data_source"), "")
    about |= {"curator": {"name": "", "email": ""}, "annotator": {"name": who} if who else {}}
    whole = {"annotation_metadata": about, "namespace": NAMESPACE, "data": data, "sandbox": {}}
    return whole | {"time": 0, "duration": None}


def read(content: Content) -> list[AnnotatedFile]:
    """Observations whose value is a text, or has a `label`, as Scaper's have."""
    values = content.json
    try:
        about = values["file_metadata"]
        name = about.get("identifiers", {}).get("filename") or content.audio
        events = [event for each in values["annotations"] for event in _events(each)]
        duration = about.get("duration")
        duration_s = None if duration is None else float(duration)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AnnotationError(
            f"{content.path}: no readable JAMS ({error!r}): restore it"
        ) from error
    events.sort(key=lambda each: each.onset_s)
    return [AnnotatedFile(file=str(name), events=tuple(events), duration_s=duration_s)]


def _events(annotation: dict[str, Any]) -> Iterator[SoundEvent]:
    who = (annotation.get("annotation_metadata") or {}).get("annotator") or {}
    for each in annotation["data"]:
        value, extra = each["value"], {}
        if isinstance(value, dict):
            extra = {key: _cell(cell) for key, cell in value.items() if key != "label"}
            if extra.get("role") == "background":  # Scaper's, over the whole of a soundscape
                continue
            value = value.get("label")
        if isinstance(value, str):
            onset_s = float(each["time"])
            score = each.get("confidence")
            yield SoundEvent(
                onset_s=onset_s,
                offset_s=onset_s + float(each["duration"]),
                label=value,
                score=None if score is None else float(score),
                annotator=who.get("name") or None,
                extra=extra,
            )


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


JAMS = Format(
    title="JAMS",
    suffix=".jams",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"score", "annotator"}),
    one_file=True,
)
