"""The first clips of each finding, to hear and see."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipelines.pages.sound import Excerpt, cut
from pipelines.runtime.errors import USER_ERRORS
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.quality.finding import Finding

LONGEST_S = 10.0
# What ends the name of a clip in an example of a finding.
ENDS = (": ", ", ", " (")
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
    rows = {row.source_id: row for row in dataset.rows}
    made: dict[str, Heard] = {}
    used, found = 0, []
    for finding in findings:
        names = list(dict.fromkeys(_clips(finding, rows)))[:per_finding]
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


def _clips(finding: Finding, rows: Mapping[str, IndexRow]) -> Iterator[str]:
    """The names of clips in the examples, which begin with one, or list several."""
    if finding.kind.startswith(OF_LABELS):
        return
    for example in finding.examples:
        rest = example
        while name := _name_at_start(rest, rows):
            yield name
            rest = rest[len(name) :]
            if not rest.startswith(", "):
                break
            rest = rest[2:]


def _name_at_start(text: str, rows: Mapping[str, IndexRow]) -> str | None:
    if text in rows:
        return text
    places = (at for at in range(len(text), 0, -1) if text[at:].startswith(ENDS))
    return next((text[:at] for at in places if text[:at] in rows), None)


def _heard(dataset: Dataset, row: IndexRow) -> Heard:
    stop_s = min(row.duration_s, LONGEST_S)
    try:
        (excerpt,) = cut(dataset, row, [(0.0, stop_s)])
    except USER_ERRORS as error:
        return Heard(name=row.source_id, excerpt=None, failed=" ".join(str(error).split()))
    return Heard(name=row.source_id, excerpt=excerpt, failed="")
