"""Label Studio's JSON: a list of tasks, whose audio has regions with labels.

Events with scores are written as predictions, which Label Studio shows as a start for annotators;
others as annotations. Both exports, JSON and JSON-MIN, are read; annotations that were cancelled
are left out, and predictions where somebody annotated the task.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shards.annotations.event import AnnotatedFile, AnnotationError, Columns, SoundEvent
from shards.annotations.format import Content, Format
from shards.errors import several

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an upload
FROM, TO = "label", "audio"  # the names of the tags in its labelling configuration
OWN = ("low_hz", "high_hz", "annotator")


def _is_task(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if isinstance(value.get("data"), dict):
        return "annotations" in value or "predictions" in value or "audio" in value["data"]
    return "audio" in value and ("annotation_id" in value or _minimal_regions(value) is not None)


def recognises(content: Content) -> bool:
    """By its first task."""
    values = content.json
    return isinstance(values, list) and bool(values) and _is_task(values[0])


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """A task a file."""
    before = "["
    for file in files:
        scored = bool(file.events) and all(event.score is not None for event in file.events)
        regions = {"result": [_region(event, n) for n, event in enumerate(file.events)]}
        task: dict[str, Any] = {"data": {"audio": file.file}}
        task |= {"predictions": [regions]} if scored else {"annotations": [regions]}
        yield (f"{before}\n" + json.dumps(task, ensure_ascii=False)).encode()
        before = ","
    yield b"[]\n" if before == "[" else b"\n]\n"


def _region(event: SoundEvent, count: int) -> dict[str, Any]:
    value: dict[str, Any] = {"start": round(event.onset_s, 6), "end": round(event.offset_s, 6)}
    value["labels"] = [event.label]
    if event.channel is not None:
        value["channel"] = event.channel - 1
    region: dict[str, Any] = {"id": f"event{count}", "from_name": FROM, "to_name": TO}
    region |= {"type": "labels", "value": value}
    if event.score is not None:
        region["score"] = event.score
    meta: dict[str, Any] = {n: v for n in OWN if (v := getattr(event, n)) is not None}
    meta |= {"text": [event.notes]} if event.notes is not None else {}
    if event.extra:
        meta["extra"] = dict(event.extra)
    return region | ({"meta": meta} if meta else {})


def read(content: Content) -> list[AnnotatedFile]:
    """Regions by the file of their task."""

    found: dict[str, list[SoundEvent]] = {}
    wrong: list[AnnotationError] = []
    for number, task in enumerate(content.json, start=1):
        try:
            file, events = _task(task)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            reason = f"{content.path} task {number}: no readable task ({error!r}): restore it"
            wrong.append(AnnotationError(reason))
        else:
            found.setdefault(file, []).extend(events)
    if wrong:
        raise several(wrong)
    return [AnnotatedFile(file=name, events=tuple(events)) for name, events in found.items()]


def _task(task: dict[str, Any]) -> tuple[str, list[SoundEvent]]:
    minimal = _minimal_regions(task)
    if "data" not in task:
        regions = [{"value": value} for value in minimal or []]
        return _name(task["audio"]), [event for each in regions for event in _events(each)]
    done = [each for each in task.get("annotations") or [] if not each.get("was_cancelled")]
    results = done or task.get("predictions") or []
    regions = [region for each in results for region in each["result"]]
    return _name(task["data"]["audio"]), [event for each in regions for event in _events(each)]


def _minimal_regions(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The regions of a task in JSON-MIN."""
    for value in task.values():
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict) and {"start", "end", "labels"} <= set(first):
            return list(value)
    return None


def _events(region: dict[str, Any]) -> Iterator[SoundEvent]:
    value, meta = region["value"], region.get("meta") or {}
    if "start" not in value:
        return  # about the whole file, such as a choice
    texts = meta.get("text")
    notes = "\n".join(texts) if isinstance(texts, list) else texts
    score = region.get("score")
    channel = value.get("channel")
    for label in value["labels"]:
        yield SoundEvent(
            onset_s=float(value["start"]),
            offset_s=float(value["end"]),
            label=label,
            score=None if score is None else float(score),
            low_hz=meta.get("low_hz"),
            high_hz=meta.get("high_hz"),
            annotator=meta.get("annotator"),
            channel=None if channel is None else int(channel) + 1,
            notes=notes,
            extra=meta.get("extra") or {},
        )


def _name(url: str) -> str:
    """The file of a task, without Label Studio's own place for it."""
    parts = urlsplit(url)
    if parts.path.endswith("/data/local-files/"):
        return parse_qs(parts.query).get("d", [url])[0]
    if "/data/upload/" in parts.path:
        return _UPLOAD.sub("", PurePosixPath(unquote(parts.path)).name)
    return url


LABEL_STUDIO = Format(
    title="Label Studio JSON",
    suffix=".label-studio.json",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"score", "low_hz", "high_hz", "channel", "annotator", "notes"}),
    holds_extra=True,
)
