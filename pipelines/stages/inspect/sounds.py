"""The first clips of each finding, to hear and see where the doubt is."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from pipelines.pages.sound import Excerpt, cut
from pipelines.runtime.errors import USER_ERRORS
from shards.audio.levels import BLOCK_S
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.quality.finding import Finding
from shards.quality.places import Places, Span, places

LONGEST_S = 10.0
LEAD_S = 2.0  # that are heard before the doubt
WHOLE: Span = (0.0, 0.0)  # a doubt about all of a clip
# What ends the name of a clip in an example of a finding.
ENDS = re.compile(r"(?=: |, | \()")
READ = 10_000  # characters of an example, which may list thousands of clips
# What the example of a doubtful event ends with.
EVENT = re.compile(r" (\S+) to (\S+) s(?:, the clip ends at \S+ s)?$")
# Where to listen for findings about levels: what has no place is heard where it is loudest.
OF_LEVELS: Mapping[str, Callable[[Places], Span]] = {
    "clipped": lambda found: found.clipped_s,
    "mostly_silent": lambda found: found.silent_s,
    "quiet": lambda found: found.loudest_s,
    "offset": lambda found: found.loudest_s,
    "rate_low": lambda found: found.loudest_s,
    "rate_high": lambda found: found.loudest_s,
}
UNMARKED = ("quiet", "offset", "rate_low", "rate_high")
OF_LABELS = ("label_unknown", "class_")  # kinds of findings whose examples name no clip


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A clip of a finding: what is heard and seen, or why it cannot be.

    `marks` are the doubt in it, from and to in percent of its width.
    """

    name: str
    excerpt: Excerpt | None
    failed: str
    marks: list[tuple[float, float]] = field(default_factory=list)


def heard(
    dataset: Dataset, findings: Sequence[Finding], per_finding: int, max_bytes: int
) -> list[list[Heard]]:
    """The first clips of each finding, as many as fit."""
    rows = _named(dataset, findings)
    made: dict[tuple[str, Span], Heard] = {}
    used, found = 0, []
    for finding in findings:
        told: dict[str, str] = {}
        for name, example in _clips(finding, rows):
            told.setdefault(name, example)
        shown = []
        for name, example in islice(told.items(), per_finding):
            row = rows[name]
            try:
                doubt_s = _doubt_s(dataset, row, finding.kind, example)
            except USER_ERRORS:
                doubt_s = WHOLE  # it cannot be read, which is told below
            one = made.get((name, doubt_s)) or _heard(dataset, row, doubt_s)
            size = one.excerpt.size if one.excerpt else 0  # also of one that is shown again
            if used + size > max_bytes:
                continue
            made[name, doubt_s] = one
            used += size
            shown.append(one)
        found.append(shown)
    return found


def _named(dataset: Dataset, findings: Iterable[Finding]) -> dict[str, IndexRow]:
    """The clips that examples may name, by source id."""
    starts = (
        example[start:]
        for finding in findings
        if not finding.kind.startswith(OF_LABELS)
        for example in (text[:READ] for text in finding.examples)
        for start in (0, *(found.end() for found in re.finditer(", ", example)))
    )
    wanted = {text[:at] for text in starts for at in _ends(text)}
    rows = dataset.rows.taken(np.flatnonzero(dataset.columns.of_sources(wanted)))
    return {row.source_id: row for row in rows}


def _ends(text: str) -> Iterator[int]:
    """Where a name at the start of a text may end, the longest first."""
    ends = [found.start() for found in ENDS.finditer(text)]
    return iter([len(text), *reversed(ends)])


def _clips(finding: Finding, rows: Mapping[str, IndexRow]) -> Iterator[tuple[str, str]]:
    """The names of clips in the examples, which begin with one or list several, and the example."""
    if finding.kind.startswith(OF_LABELS):
        return
    for example in finding.examples:
        rest = example[:READ]
        while name := _name_at_start(rest, rows):
            yield name, example
            rest = rest[len(name) :]
            if not rest.startswith(", "):
                break
            rest = rest[2:]


def _name_at_start(text: str, rows: Mapping[str, IndexRow]) -> str | None:
    if text in rows:
        return text
    return next((text[:at] for at in _ends(text) if text[:at] in rows), None)


def _doubt_s(dataset: Dataset, row: IndexRow, kind: str, example: str) -> Span:
    """Where in a clip the doubt is that an example of a finding tells of."""
    if kind in OF_LEVELS and not (kind in UNMARKED and row.duration_s <= LONGEST_S):
        blocks = dataset.audio_blocks(row, row.sample_rate_hz, BLOCK_S)
        begin_s, end_s = OF_LEVELS[kind](places(blocks, row.sample_rate_hz))
        return (begin_s, begin_s) if kind in UNMARKED else (begin_s, end_s)
    if kind in ("event_outside", "event_short") and (event := EVENT.search(example)):
        times_s = sorted(float(time) for time in event.groups())
        onset_s, offset_s = (min(max(time, 0.0), row.duration_s) for time in times_s)
        return (onset_s, offset_s) if onset_s <= offset_s else WHOLE  # NaN is in no order
    if kind == "event_overlap":
        return _first_overlap_s(row)
    return WHOLE


def _first_overlap_s(row: IndexRow) -> Span:
    """The first two events of one label that overlap, together."""
    last: dict[str, Span] = {}
    for event in sorted(row.events or (), key=lambda event: event.onset_s):
        begin_s, end_s = last.get(event.label, WHOLE)
        if event.onset_s < end_s:
            return begin_s, min(max(end_s, event.offset_s), row.duration_s)
        last[event.label] = event.onset_s, event.offset_s
    return WHOLE


def _heard(dataset: Dataset, row: IndexRow, doubt_s: Span) -> Heard:
    length_s = min(row.duration_s, LONGEST_S)
    start_s = min(max(0.0, doubt_s[0] - LEAD_S), row.duration_s - length_s)
    try:
        (excerpt,) = cut(dataset, row, [(start_s, start_s + length_s)])
    except USER_ERRORS as error:
        return Heard(name=row.source_id, excerpt=None, failed=" ".join(str(error).split()))
    marks = []
    if doubt_s[1] > doubt_s[0]:
        marks = [(excerpt.place(doubt_s[0]), excerpt.place(doubt_s[1]))]
    return Heard(name=row.source_id, excerpt=excerpt, failed="", marks=marks)
