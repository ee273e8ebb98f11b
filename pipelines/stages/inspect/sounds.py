"""The first clips of each finding, to hear and see."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pipelines.pages.sound import Excerpt, cut
from pipelines.runtime.errors import USER_ERRORS
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.quality.finding import Finding

LONGEST_S = 10.0
# What ends the name of a clip in an example of a finding.
ENDS = re.compile(r"(?=: |, | \()")
READ = 10_000  # characters of an example, which may list thousands of clips
OF_LABELS = ("label_unknown", "class_")  # kinds of findings whose examples name no clip


@dataclass(frozen=True, kw_only=True)
class Heard:
    """A clip of a finding: what is heard and seen, or why it cannot be."""

    name: str
    excerpt: Excerpt | None
    failed: str


def heard(
    dataset: Dataset, findings: Sequence[Finding], per_finding: int, max_bytes: int
) -> list[list[Heard]]:
    """The first clips of each finding, as many as fit."""
    rows = _named(dataset, findings)
    made: dict[str, Heard] = {}
    used, found = 0, []
    for finding in findings:
        names = islice(dict.fromkeys(_clips(finding, rows)), per_finding)
        shown = []
        for name in names:
            one = made.get(name) or _heard(dataset, rows[name])
            size = one.excerpt.size if one.excerpt else 0  # also of one that is shown again
            if used + size > max_bytes:
                continue
            made[name] = one
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


def _clips(finding: Finding, rows: Mapping[str, IndexRow]) -> Iterator[str]:
    """The names of clips in the examples, which begin with one, or list several."""
    if finding.kind.startswith(OF_LABELS):
        return
    for example in finding.examples:
        rest = example[:READ]
        while name := _name_at_start(rest, rows):
            yield name
            rest = rest[len(name) :]
            if not rest.startswith(", "):
                break
            rest = rest[2:]


def _name_at_start(text: str, rows: Mapping[str, IndexRow]) -> str | None:
    if text in rows:
        return text
    return next((text[:at] for at in _ends(text) if text[:at] in rows), None)


def _heard(dataset: Dataset, row: IndexRow) -> Heard:
    stop_s = min(row.duration_s, LONGEST_S)
    try:
        (excerpt,) = cut(dataset, row, [(0.0, stop_s)])
    except USER_ERRORS as error:
        return Heard(name=row.source_id, excerpt=None, failed=" ".join(str(error).split()))
    return Heard(name=row.source_id, excerpt=excerpt, failed="")
