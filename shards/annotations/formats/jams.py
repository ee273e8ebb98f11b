"""JAMS, the JSON Annotated Music Specification: events as `segment_open`; Scaper's are read too.

Plain JSON, written by hand: the library jams brings pandas and mir_eval, and its files are tested
against ours. An annotation is what one annotator found. https://jams.readthedocs.io
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

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

VERSION = "0.3.5"
NAMESPACE = "segment_open"
NAMED = (NAMESPACE, "tag_open", "scaper")  # namespaces whose every value names something


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
    path, values = content.path, content.json
    with readable(path, "JAMS"):
        about = values["file_metadata"]
        name = about.get("identifiers", {}).get("filename") or content.audio
        duration = about.get("duration")
        duration_s = None if duration is None else float(duration)
        annotations = list(values["annotations"])
    faults, events, others = Faults(AnnotationError), list[SoundEvent](), Counter[str]()
    for number, annotation in enumerate(annotations, start=1):
        where = f"{path} annotation {number}"
        with faults.noted(), readable(where, "JAMS"):
            namespace = str(annotation.get("namespace"))
            who = (annotation.get("annotation_metadata") or {}).get("annotator") or {}
            for count, each in enumerate(annotation["data"], start=1):
                with faults.noted(), readable(f"{where} observation {count}", "JAMS"):
                    if _is_of_sound(each["value"], namespace):
                        found = _event(each, f"{where} observation {count}", who.get("name"))
                        events += [] if found is None else [found]
                    else:
                        others[namespace] += 1
    faults.check()
    if others and not events:
        raise AnnotationError(
            f"{path}: got {others.total()} observations of {', '.join(sorted(others))}, whose "
            f"values are no texts; expected events with names, such as those of {NAMESPACE}"
        )
    events.sort(key=lambda each: each.onset_s)
    return [AnnotatedFile(file=str(name), events=tuple(events), duration_s=duration_s)]


def _is_of_sound(value: Any, namespace: str) -> bool:
    """Whether an observation names what is heard; others are beats, pitches, onsets."""
    return namespace in NAMED or isinstance(value, str | dict)


def _event(each: dict[str, Any], where: str, who: str | None) -> SoundEvent | None:
    """An observation as an event; None of Scaper's background."""
    value, extra = each["value"], {}
    if isinstance(value, dict):
        extra = {key: _cell(cell) for key, cell in value.items() if key != "label"}
        if extra.get("role") == "background":  # over the whole of a soundscape
            return None
        value = value.get("label")
    onset_s, score = float(each["time"]), each.get("confidence")
    return read_event(
        where,
        onset_s=onset_s,
        offset_s=onset_s + float(each["duration"]),
        label=value,
        score=None if score is None else float(score),
        annotator=who or None,
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
