"""What is doubtful in the labels of a dataset."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from shards.columns import Bools, Columns
from shards.index import IndexRow
from shards.label_columns import Coded, LabelColumns, durations_s
from shards.quality.class_names import alike, alike_in_words
from shards.quality.finding import Clips, Finding, Needs, finding_of
from shards.quality.label_statistics import overlaps
from shards.quality.leakage import TRAINED
from shards.rows import table_of

LATE_S = 1e-6  # an event's end may be rounded
# What the clips of a subset are used for needs these labels.
STRONG_SUBSETS = frozenset({"strong", "synthetic", "test", "validation"})


def event_findings(rows: Iterable[IndexRow], needs: Needs) -> Iterator[Finding]:
    """Events outside their clip, too short for the encoder, or on top of each other."""
    table = table_of(rows)
    labels, length_s = LabelColumns.of(table), durations_s(table)
    onset_s, offset_s = labels.onset_s, labels.offset_s
    end_s = length_s[labels.event_clip] + LATE_S
    inside = (onset_s >= 0) & (onset_s < offset_s) & (offset_s <= end_s)  # NaN is in no order
    short = inside & (offset_s - onset_s < needs.hop_s)
    overlapping, events = overlaps(labels), np.bincount(labels.event_clip, minlength=labels.clips)

    def place(event: int) -> str:
        clip = table["source_id"][int(labels.event_clip[event])]
        label = labels.names[labels.event[event]]
        return f"{clip}: {label} {onset_s[event]:g} to {offset_s[event]:g} s"

    def beyond(event: int) -> str:
        ends = length_s[labels.event_clip[event]]
        return f"{place(event)}, the clip ends at {ends:g} s"

    yield from finding_of(
        "serious",
        "event_outside",
        "Events that do not lie inside their clip, or end before they start",
        "Correct the label table: onset and offset are seconds from the start of the clip.",
        Clips(np.flatnonzero(~inside), beyond),
    )
    yield from finding_of(
        "warning",
        "event_short",
        f"Events shorter than a frame of {needs.encoder} ({needs.hop_s * 1000:g} ms)",
        "The detector can hardly find them; lengthen or drop them, or take a finer encoder.",
        Clips(np.flatnonzero(short), place),
    )
    yield from finding_of(
        "note",
        "event_overlap",
        "Clips with overlapping events of one label, and how many overlap an earlier one",
        "Nothing, if they are one sound: training and scores take what overlaps as one event.",
        Clips(
            np.flatnonzero(overlapping),
            lambda n: f"{table['source_id'][n]}: {overlapping[n]} of {events[n]}",
        ),
    )


def label_findings(rows: Iterable[IndexRow], classes: Sequence[str] | None) -> Iterator[Finding]:
    """Labels and classes that do not fit each other, and clips without the labels they need."""
    known = frozenset(classes or ())
    table = table_of(rows)
    labels, subsets = LabelColumns.of(table), Coded.of(table["subset"])
    uses = _uses(labels, subsets)
    strong, weak = labels.strong_pairs(), labels.weak_pairs()
    clips, _ = labels.parted(np.setxor1d(strong, weak, assume_unique=True))
    differing = np.unique(clips)
    differing = differing[labels.has_weak[differing] & labels.has_events[differing]]

    def two_ways(clip: int) -> str:
        in_time, in_all = (_names(labels.of_clip(pairs, clip)) for pairs in (strong, weak))
        return f"{table['source_id'][clip]}: {in_time} in time, {in_all} in all"

    yield from finding_of(
        "serious",
        "label_unknown",
        "Labels that are not among the classes",
        "Correct them, or add them to the classes: pmam verify refuses the dataset so.",
        [f"{_names([label])} ({_clips(uses[label])})" for label in sorted(uses.keys() - known)],
    )
    trained = {label for label, subsets in uses.items() if TRAINED & subsets.keys()}
    if trained:
        yield from finding_of(
            "warning",
            "class_untrained",
            "Classes that are tested, but label no training clip",
            "Label some training clips, or leave these classes out.",
            [f"{_names([x])} ({_clips(uses[x])})" for x in sorted((uses.keys() & known) - trained)],
        )
    counts = {label: sum(subsets.values()) for label, subsets in uses.items()}
    yield from finding_of(
        "warning",
        "class_alike",
        "Classes that differ in case, spaces, underscores or Unicode form alone",
        "If they are one class, give pmam reindex labels --mapping a table with old, new.",
        [alike_in_words(group, counts) for group in alike(counts)],
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
        Clips(differing, two_ways),
    )
    yield from _unlabelled(table, STRONG_SUBSETS, "events", ~labels.has_events)
    yield from _unlabelled(table, {"weak"}, "weak labels", ~labels.has_weak)


def _uses(labels: LabelColumns, subsets: Coded) -> dict[str, Counter[str]]:
    """By label: the clips of each subset that have it."""
    clip, label = labels.parted(labels.pairs())
    part = label * len(subsets) + subsets.codes[clip]
    counts = np.bincount(part, minlength=len(labels.names) * len(subsets))
    of_label = counts.reshape(len(labels.names), -1).tolist() if len(counts) else []
    return {
        name: Counter({s: n for s, n in zip(subsets.names, row, strict=True) if n})
        for name, row in zip(labels.names, of_label, strict=True)
        if any(row)
    }


def _unlabelled(
    table: pa.Table, subsets: Iterable[str], missing: str, lacks: Bools
) -> Iterator[Finding]:
    columns = Columns(table)
    for subset in sorted(subsets):
        clips = columns.of_subset(subset)
        yield from finding_of(
            "warning",
            "subset_unlabelled",
            f"Of {clips.sum()} clips of the subset {subset!r}, those without {missing}",
            f"Give the table of {missing}, or move the clips to 'unlabeled'.",
            Clips(np.flatnonzero(clips & lacks), lambda n: str(table["source_id"][n])),
        )


def _names(labels: Iterable[str]) -> str:
    return ", ".join(sorted(label or "(empty)" for label in labels)) or "nothing"


def _clips(subsets: Mapping[str, int]) -> str:
    return ", ".join(f"{count} in {subset}" for subset, count in sorted(subsets.items()))
