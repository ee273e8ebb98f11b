"""ELAN's EAF (Max Planck Institute for Psycholinguistics): tiers of annotations, in milliseconds.

Read and written by the standard library: the library pympi gives no times to annotations whose time
slots have none, and says of a damaged file that it cannot be parsed and no more. The schema is
EAFv3.0. Events that overlap go to several tiers.
"""

import bisect
import itertools
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from urllib.parse import unquote

from shards.annotations.delimited import number
from shards.annotations.event import AnnotatedFile, AnnotationError, Columns, read_event
from shards.annotations.format import Content, Format
from shards.annotations.tiers import TIER, tier_extra, tiers
from shards.annotations.xml import NOT_XML, document, parsed, xml_text
from shards.errors import Faults

SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
DATE = "1970-01-01T00:00:00+00:00"  # the schema wants one; the same events are the same bytes


def recognises(content: Content) -> bool:
    """By its root element."""
    return "<ANNOTATION_DOCUMENT" in content.text[:4000]


def write(files: Iterable[AnnotatedFile], filled: Columns) -> Iterator[bytes]:
    """One document."""
    for file in files:
        root = ET.Element("ANNOTATION_DOCUMENT", AUTHOR="", DATE=DATE, FORMAT="3.0", VERSION="3.0")
        root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
        root.set("xsi:noNamespaceSchemaLocation", SCHEMA)
        header = ET.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
        name = xml_text(file.file)
        media = {"MEDIA_URL": name, "MIME_TYPE": "audio/x-wav", "RELATIVE_MEDIA_URL": f"./{name}"}
        ET.SubElement(header, "MEDIA_DESCRIPTOR", media)
        order = ET.SubElement(root, "TIME_ORDER")
        slots, annotations = itertools.count(1), itertools.count(1)
        lanes = tiers(event for event in file.events if _ms(event.offset_s) > _ms(event.onset_s))
        points = tiers(event for event in file.events if _ms(event.offset_s) <= _ms(event.onset_s))
        for tier_name, events in [*lanes.items(), *points.items()]:
            tier = ET.SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt")
            tier.set("TIER_ID", xml_text(_free(root, tier_name)))
            for event in events:
                onset, offset = f"ts{next(slots)}", f"ts{next(slots)}"
                begin = _ms(event.onset_s)
                times = (begin, max(begin + 1, _ms(event.offset_s)))  # ELAN has no points
                for slot, time in zip((onset, offset), times, strict=True):
                    ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(time))
                cell = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION")
                cell.attrib |= {"ANNOTATION_ID": f"a{next(annotations)}"}
                cell.attrib |= {"TIME_SLOT_REF1": onset, "TIME_SLOT_REF2": offset}
                ET.SubElement(cell, "ANNOTATION_VALUE").text = xml_text(event.label)
        kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt"}
        ET.SubElement(root, "LINGUISTIC_TYPE", kind | {"TIME_ALIGNABLE": "true"})
        yield document(root)


def _ms(seconds: float) -> int:
    return round(1000 * seconds)


def _free(root: ET.Element, name: str) -> str:
    taken = {tier.get("TIER_ID") for tier in root.iter("TIER")}
    base, _, number = name.rpartition(" ")
    base, count = (base, int(number)) if base and number.isdecimal() else (name, 1)
    while name in taken:
        count += 1
        name = f"{base} {count}"
    return name


def read(content: Content) -> list[AnnotatedFile]:
    """Annotations that have a text, by time.

    What refers to another annotation, such as a translation, becomes an extra column of that one.
    """
    root = parsed(content)
    faults = Faults(AnnotationError)
    slots = _slots(root, content.path, faults)
    columns = _columns(root, content.path, faults)
    events = []
    for tier in root.iter("TIER"):
        for cell in tier.iter("ALIGNABLE_ANNOTATION"):
            if not (label := _value(cell)):
                continue
            own = cell.get("ANNOTATION_ID", "")
            where = f"{content.path} annotation {own}".rstrip()
            try:
                begin, end = (slots[cell.attrib[f"TIME_SLOT_REF{n}"]] for n in (1, 2))
            except KeyError as error:
                missing = f"{where}: no time slot {error}; restore it"
                faults.errors.append(AnnotationError(missing))
                continue
            with faults.noted():
                event = read_event(
                    where,
                    onset_s=begin / 1000,
                    offset_s=end / 1000,
                    label=label,
                    extra=tier_extra(tier.get("TIER_ID", "")) | columns.get(own, {}),
                    annotator=tier.get("ANNOTATOR") or None,
                )
                events.append(event)
    faults.check()
    events.sort(key=lambda each: (each.onset_s, each.offset_s, each.label))
    return [AnnotatedFile(file=_media(root) or content.audio, events=tuple(events))]


def _value(cell: ET.Element) -> str:
    return (cell.findtext("ANNOTATION_VALUE") or "").strip()


def _columns(root: ET.Element, path: str, faults: Faults) -> dict[str, dict[str, str]]:
    """What refers to each annotation with times, also by way of others, by tier."""
    timed = {cell.get("ANNOTATION_ID", "") for cell in root.iter("ALIGNABLE_ANNOTATION")}
    above = {
        cell.get("ANNOTATION_ID", ""): cell.get("ANNOTATION_REF", "")
        for cell in root.iter("REF_ANNOTATION")
    }
    columns: dict[str, dict[str, str]] = {}
    for tier in root.iter("TIER"):
        for cell in tier.iter("REF_ANNOTATION"):
            own = to = cell.get("ANNOTATION_ID", "")
            passed = set[str]()
            while to not in timed and to in above and to not in passed:
                passed.add(to)
                to = above[to]
            if not (text := _value(cell)):
                continue
            if to not in timed:
                reason = f"{path} annotation {own}: refers to {to!r}, which is not there"
                faults.errors.append(AnnotationError(f"{reason}; restore it"))
                continue
            of_event, name = columns.setdefault(to, {}), tier.get("TIER_ID", "")
            of_event[name] = f"{of_event[name]} {text}" if name in of_event else text
    return columns


def _slots(root: ET.Element, path: str, faults: Faults) -> dict[str, float]:
    """Milliseconds of each time slot; those without a time lie evenly between their neighbours."""
    names, times = list[str](), list[float | None]()
    for slot in root.iter("TIME_SLOT"):
        name, value = slot.get("TIME_SLOT_ID", ""), slot.get("TIME_VALUE")
        with faults.noted():
            where = f"{path} time slot {name}"
            times.append(None if value is None else number(value, where, "time in milliseconds"))
            names.append(name)
    known = [n for n, time in enumerate(times) if time is not None]
    slots: dict[str, float] = {}
    for n, name in enumerate(names):
        left, right = bisect.bisect_right(known, n), bisect.bisect_left(known, n)
        if not left or right == len(known):
            reason = f"{path}: the time slot {name} has no time near it; restore it"
            faults.errors.append(AnnotationError(reason))
            continue
        before, after = known[left - 1], known[right]
        low, high = times[before] or 0.0, times[after] or 0.0
        slots[name] = (
            low if after == before else low + (high - low) * (n - before) / (after - before)
        )
    return slots


def _media(root: ET.Element) -> str | None:
    """The name of the file that it annotates, without folders."""
    for media in root.iter("MEDIA_DESCRIPTOR"):
        url = media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or ""
        if name := PurePosixPath(unquote(url) if "://" in url else url).name:
            return name
    return None


EAF = Format(
    title="ELAN EAF",
    suffix=".eaf",
    recognises=recognises,
    read=read,
    write=write,
    holds_columns=frozenset({TIER}),
    one_file=True,
    resolution_s=1e-3,
    changes_text=NOT_XML,
    holds_points=False,
)
