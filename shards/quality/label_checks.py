"""What is doubtful in the labels of a dataset."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from shards.index import IndexRow
from shards.quality.class_names import alike, alike_in_words
from shards.quality.finding import Finding, Needs, finding_of
from shards.quality.label_statistics import count_overlaps
from shards.quality.leakage import TRAINED

LATE_S = 1e-6  # an event's end may be rounded
# What the clips of a subset are used for needs these labels.
STRONG_SUBSETS = frozenset({"strong", "synthetic", "test", "validation"})


def event_findings(rows: Sequence[IndexRow], needs: Needs) -> Iterator[Finding]:
    """Events outside their clip, too short for the encoder, or on top of each other."""
    outside, short = [], []
    for row in rows:
        for event in row.events or ():
            place = f"{row.source_id}: {event.label} {event.onset_s:g} to {event.offset_s:g} s"
            end_s = row.duration_s + LATE_S
            if not (0 <= event.onset_s < event.offset_s <= end_s):  # NaN is in no order
                outside.append(f"{place}, the clip ends at {row.duration_s:g} s")
            elif event.offset_s - event.onset_s < needs.hop_s:
                short.append(place)
    yield from finding_of(
        "serious",
        "event_outside",
        "Events that do not lie inside their clip, or end before they start",
        "Correct the label table: onset and offset are seconds from the start of the clip.",
        outside,
    )
    yield from finding_of(
        "warning",
        "event_short",
        f"Events shorter than a frame of {needs.encoder} ({needs.hop_s * 1000:g} ms)",
        "The detector can hardly find them; lengthen or drop them, or take a finer encoder.",
        short,
    )
    yield from finding_of(
        "note",
        "event_overlap",
        "Clips with overlapping events of one label, and how many overlap an earlier one",
        "Nothing, if they are one sound: training and scores take what overlaps as one event.",
        (
            f"{row.source_id}: {count} of {len(row.events or ())}"
            for row in rows
            if (count := count_overlaps(row.events or ()))
        ),
    )


def label_findings(rows: Sequence[IndexRow], classes: Sequence[str] | None) -> Iterator[Finding]:
    """Labels and classes that do not fit each other, and clips without the labels they need."""
    known = frozenset(classes or ())
    uses: dict[str, Counter[str]] = defaultdict(Counter)  # by label: clips of each subset
    differing = []
    for row in rows:
        strong, weak = {event.label for event in row.events or ()}, set(row.weak or ())
        for label in strong | weak:
            uses[label][row.subset] += 1
        if row.events is not None and row.weak is not None and strong != weak:
            differing.append(f"{row.source_id}: {_names(strong)} in time, {_names(weak)} in all")
    yield from finding_of(
        "serious",
        "label_unknown",
        "Labels that are not among the classes",
        "Correct them, or add them to the classes: pmam verify refuses the dataset so.",
        (f"{_names([label])} ({_clips(uses[label])})" for label in sorted(uses.keys() - known)),
    )
    trained = {label for label, subsets in uses.items() if TRAINED & subsets.keys()}
    if trained:
        yield from finding_of(
            "warning",
            "class_untrained",
            "Classes that are tested, but label no training clip",
            "Label some training clips, or leave these classes out.",
            (f"{_names([x])} ({_clips(uses[x])})" for x in sorted((uses.keys() & known) - trained)),
        )
    counts = {label: sum(subsets.values()) for label, subsets in uses.items()}
    yield from finding_of(
        "warning",
        "class_alike",
        "Classes that differ in case, spaces, underscores or Unicode form alone",
        "If they are one class, give pmam reindex labels --mapping a table with old, new.",
        (alike_in_words(group, counts) for group in alike(counts)),
    )
    yield from finding_of(
        "note",
        "class_unused",
        "Classes that label no clip",
        "Nothing, if other data has them.",
        sorted(known - uses.keys()),
    )
    yield from finding_of(
        "warning",
        "label_differs",
        "Clips with other labels in time than for the whole clip",
        "Correct one of the two tables.",
        differing,
    )
    yield from _unlabelled(rows, STRONG_SUBSETS, "events", lambda row: row.events is None)
    yield from _unlabelled(rows, {"weak"}, "weak labels", lambda row: row.weak is None)


def _unlabelled(
    rows: Sequence[IndexRow],
    subsets: Iterable[str],
    missing: str,
    lacks: Callable[[IndexRow], bool],
) -> Iterator[Finding]:
    for subset in sorted(subsets):
        clips = [row for row in rows if row.subset == subset]
        without = [row.source_id for row in clips if lacks(row)]
        yield from finding_of(
            "warning",
            "subset_unlabelled",
            f"Of {len(clips)} clips of the subset {subset!r}, those without {missing}",
            f"Give the table of {missing}, or move the clips to 'unlabeled'.",
            without,
        )


def _names(labels: Iterable[str]) -> str:
    return ", ".join(sorted(label or "(empty)" for label in labels)) or "nothing"


def _clips(subsets: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {subset}" for subset, count in sorted(subsets.items()))
