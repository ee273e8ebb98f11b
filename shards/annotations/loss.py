"""What is lost when events are written in a format."""

import re
from collections import Counter
from collections.abc import Iterable

from shards.annotations.event import OPTIONAL_FIELDS, AnnotatedFile
from shards.annotations.format import Format

WORDS = {
    "score": "scores",
    "low_hz": "lowest frequencies",
    "high_hz": "highest frequencies",
    "channel": "channels",
    "annotator": "annotators",
    "notes": "notes",
}


def lost(files: Iterable[AnnotatedFile], text_format: Format) -> list[str]:
    """What the format cannot hold of these events, a line a kind; empty where it holds all."""
    counts: Counter[str] = Counter()
    for file in files:
        for event in file.events:
            for name in OPTIONAL_FIELDS:
                if name not in text_format.holds and getattr(event, name) is not None:
                    counts[WORDS[name]] += 1
            if not text_format.holds_extra:
                counts.update(
                    f"values of the column {name!r}"
                    for name in event.extra
                    if name not in text_format.holds_columns
                )
            if text_format.changes_text is not None and re.search(
                text_format.changes_text, event.label
            ):
                counts["labels with characters that it has no way to write"] += 1
            if not text_format.holds_points and event.onset_s == event.offset_s:
                counts["points in time, which it has no way to write"] += 1
    return [f"{text_format.title} cannot hold {count} {what}" for what, count in counts.items()]
