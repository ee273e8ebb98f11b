"""Label Studio's JSON: a list of tasks, whose audio has regions with labels.

Events with scores are written as predictions, which Label Studio shows as a start for annotators;
others as annotations. Both exports, JSON and JSON-MIN, are read; annotations that were cancelled
are left out, and predictions where somebody annotated the task. Choices about a whole file are
weak labels, which have no times: a task that has nothing else is refused.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from shards.annotations.delimited import whole_number
from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
    read_event,
    readable,
)
from shards.annotations.format import Content, Format
from shards.errors import Faults, told

_UPLOAD = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an upload
FROM, TO = "label", "audio"  # the names of the tags in its labelling configuration
WHOLE_FILE = ("choices", "taxonomy")  # what is chosen of a file, without times
log = logging.getLogger("pmam")
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
    faults = Faults(AnnotationError)
    beside: list[str] = []  # choices of tasks that have regions too
    for number, task in enumerate(content.json, start=1):
        where = f"{content.path} task {number}"
        with faults.noted(), readable(where, "task"):
            if not _is_annotated(task):
                continue
            file, regions = _task(task)
            beside += _chosen(regions, where)
            events = found.setdefault(file, [])
            for count, region in enumerate(regions, start=1):
                with faults.noted(), readable(f"{where} region {count}", "region"):
                    events += _events(region, f"{where} region {count}", faults)
    faults.check()
    if beside:
        log.warning(
            "%s: %d tasks have choices about the whole file beside their regions, left out since "
            "they have no times: %s",
            content.path,
            len(beside),
            told(beside),
        )
    return [AnnotatedFile(file=name, events=tuple(events)) for name, events in found.items()]


def _is_annotated(task: dict[str, Any]) -> bool:
    """Whether somebody, or a program, went through it: others are not recordings of silence."""
    if "data" not in task:
        return True
    done = [each for each in task.get("annotations") or [] if not each.get("was_cancelled")]
    return bool(done or task.get("predictions"))


def _task(task: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """The file of a task, and its regions."""
    if "data" not in task:
        whole = [v for v in task.values() if isinstance(v, dict) and set(v) & set(WHOLE_FILE)]
        values = [*(_minimal_regions(task) or []), *whole]
        return _name(task["audio"]), [{"value": value} for value in values]
    done = [each for each in task.get("annotations") or [] if not each.get("was_cancelled")]
    results = done or task.get("predictions") or []
    return _name(task["data"]["audio"]), [region for each in results for region in each["result"]]


def _chosen(regions: list[dict[str, Any]], where: str) -> list[str]:
    """What is chosen of the whole file, in one text; none where nothing is.

    Raises:
        AnnotationError: the task has no regions besides, and would be a recording without events.
    """
    values = [region["value"] for region in regions]
    whole = [v[kind] for v in values if "start" not in v for kind in WHOLE_FILE if v.get(kind)]
    if not whole:
        return []
    text = ", ".join(repr(name) for each in whole for name in _leaves(each))
    if not any("start" in value for value in values):
        raise AnnotationError(
            f"{where}: got choices about the whole file ({text}) and no regions; expected regions "
            "with times: list the file in a table of weak labels (weak.tsv: filename, "
            "event_labels), or mark where it is heard"
        )
    return [text]


def _leaves(chosen: Any) -> Iterator[str]:
    """The names that are chosen; of a path in a taxonomy, its end."""
    for each in [chosen] if isinstance(chosen, str) else chosen:
        yield str(each[-1] if isinstance(each, list) and each else each)


def _minimal_regions(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The regions of a task in JSON-MIN."""
    for value in task.values():
        first = value[0] if isinstance(value, list) and value else None
        if isinstance(first, dict) and {"start", "end", "labels"} <= set(first):
            return list(value)
    return None


def _events(region: dict[str, Any], where: str, faults: Faults) -> list[SoundEvent]:
    """An event for each label of a region; `faults` gets those that are wrong."""
    value, meta = region["value"], region.get("meta") or {}
    if "start" not in value:
        return []  # about the whole file, such as a choice
    texts = meta.get("text")
    notes = "\n".join(texts) if isinstance(texts, list) else texts
    score = region.get("score")
    channel = value.get("channel")
    found = []
    for label in value["labels"]:
        with faults.noted():
            event = read_event(
                where,
                onset_s=float(value["start"]),
                offset_s=float(value["end"]),
                label=label,
                score=None if score is None else float(score),
                low_hz=meta.get("low_hz"),
                high_hz=meta.get("high_hz"),
                annotator=meta.get("annotator"),
                channel=None if channel is None else 1 + whole_number(channel, where, "channel"),
                notes=notes,
                extra=meta.get("extra") or {},
            )
            found.append(event)
    return found


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
