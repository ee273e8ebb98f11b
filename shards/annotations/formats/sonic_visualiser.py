"""Sonic Visualiser's layers (SVL): regions, boxes where there are frequencies, or time instants.

Times are sample frames at the layer's sample rate. A box is a point with a lowest frequency
(`value`) and a height (`extent`).
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

from shards.annotations.delimited import number
from shards.annotations.event import (
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
    read_event,
)
from shards.annotations.format import Content, Format, number_text
from shards.annotations.xml import NOT_XML, document, parsed, xml_text
from shards.errors import Faults

RATE_HZ = 44100  # where that of the audio is not known; Sonic Visualiser converts it
DOCTYPE = "<!DOCTYPE sonic-visualiser>\n"


def recognises(content: Content) -> bool:
    """By its root element."""
    return "<sv>" in content.text[:4000]


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One layer."""
    boxes = bool({"low_hz", "high_hz"} & set(filled.fields))
    for file in files:
        rate_hz = file.sample_rate_hz or RATE_HZ
        root = ET.Element("sv")
        data = ET.SubElement(root, "data")
        model = {"id": "1", "name": "", "sampleRate": str(rate_hz), "type": "sparse"}
        model |= {"start": "0", "end": str(round(file.end_s() * rate_hz)), "resolution": "1"}
        model |= {"dimensions": "2" if boxes else "3", "subtype": "box" if boxes else "region"}
        model |= {"notifyOnAdd": "true", "dataset": "0", "units": "Hz" if boxes else ""}
        ET.SubElement(data, "model", model)
        points = ET.SubElement(data, "dataset", id="0", dimensions=model["dimensions"])
        for event in file.events:
            onset, offset = round(event.onset_s * rate_hz), round(event.offset_s * rate_hz)
            point = {"frame": str(onset), "value": number_text(event.low_hz or 0.0)}
            point["duration"] = str(offset - onset)
            if boxes:
                high_hz = event.low_hz if event.high_hz is None else event.high_hz
                point["extent"] = number_text((high_hz or 0.0) - (event.low_hz or 0.0))
            else:
                point["value"] = event.extra.get("value", "0")
            ET.SubElement(points, "point", point | {"label": xml_text(event.label)})
        display = ET.SubElement(root, "display")
        layer = {"id": "2", "type": "boxes" if boxes else "regions", "name": "events", "model": "1"}
        ET.SubElement(display, "layer", layer)
        yield document(root, DOCTYPE)


def read(content: Content) -> list[AnnotatedFile]:
    """The points of all layers of regions, boxes, notes and instants."""
    root = parsed(content)
    events: list[SoundEvent] = []
    rate, faults = None, Faults(AnnotationError)
    for model in root.iter("model"):
        if model.get("type") != "sparse":
            continue
        rate = number(model.get("sampleRate", ""), content.path, "sampleRate")
        if rate <= 0:
            raise AnnotationError(f"{content.path}: got the sample rate {rate}; restore it")
        for dataset in root.iter("dataset"):
            if dataset.get("id") == model.get("dataset"):
                boxes = model.get("subtype") == "box"
                for count, point in enumerate(dataset, start=1):
                    with faults.noted():
                        where = f"{content.path} layer {model.get('id')} point {count}"
                        events.append(_event(point, rate, boxes, where))
    faults.check()
    if rate is None:
        raise AnnotationError(
            f"{content.path}: got no layer of regions, boxes or instants; export one of them"
        )
    return [AnnotatedFile(file=content.audio, events=tuple(events), sample_rate_hz=round(rate))]


def _event(point: ET.Element, rate: float, boxes: bool, where: str) -> SoundEvent:
    frame, duration = (number(point.get(name, "0"), where, name) for name in ("frame", "duration"))
    value = point.get("value", "0")
    low_hz = high_hz = None
    extra = {}
    if boxes:
        height = number(point.get("extent", "0"), where, "extent")
        if height or number(value, where, "value"):
            low_hz = number(value, where, "value")
            high_hz = low_hz + height
    elif value not in ("0", ""):
        extra["value"] = value
    return read_event(
        where,
        onset_s=frame / rate,
        offset_s=(frame + duration) / rate,
        label=point.get("label", ""),
        low_hz=low_hz,
        high_hz=high_hz,
        extra=extra,
    )


SVL = Format(
    title="Sonic Visualiser layer",
    suffix=".svl",
    recognises=recognises,
    read=read,
    write=write,
    holds=frozenset({"low_hz", "high_hz"}),
    holds_columns=frozenset({"value"}),
    names_files=False,
    one_file=True,
    resolution_s=1e-4,
    changes_text=NOT_XML,
)
