"""An inspection as one HTML page that needs nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pipelines.pages.render import rendered
from pipelines.runtime.words import counted, hours
from pipelines.stages.inspect.plots import DRAWN, histogram
from pipelines.stages.inspect.sounds import Heard
from shards.quality.label_statistics import LabelCount
from shards.quality.report import Inspection

SHOWN_EXAMPLES = 30  # per finding; inspect.json names more
SHOWN_LABELS = 40  # before the list folds
Row = Sequence[str]


def page(found: Inspection, heard: Sequence[Sequence[Heard]] | None = None) -> str:
    """The whole page.

    Args:
        found: what is told.
        heard: clips to see and hear of each finding; None: of none.
    """
    by_label: dict[str, list[LabelCount]] = defaultdict(list)
    for count in found.labels:
        by_label[count.label].append(count)
    return rendered(
        "inspect.html",
        title=f"Inspection of {found.name}",
        clips=counted(found.clips, "clip"),
        hours=hours(found.hours),
        classes=counted(len(found.classes), "class", "classes"),
        licence=found.licence,
        findings=found.findings,
        heard=heard or [[] for _ in found.findings],
        shown_examples=SHOWN_EXAMPLES,
        subsets=_subsets(found),
        formats=_formats(found),
        charts=[
            histogram(found.distributions[name], name)
            for name in DRAWN
            if name in found.distributions
        ],
        labels=_labels(by_label),
        shown_labels=sum(map(len, list(by_label.values())[:SHOWN_LABELS])),
        rarer_labels=f"{len(by_label) - SHOWN_LABELS} rarer labels",
        polyphony=_polyphony(found),
    )


def _subsets(found: Inspection) -> list[Row]:
    return [
        (
            row.subset,
            f"{row.clips}",
            hours(row.hours),
            f"{row.strong}",
            f"{row.weak}",
            f"{row.events}",
            "unknown" if row.recordings is None else f"{row.recordings}",
        )
        for row in found.subsets
    ]


def _formats(found: Inspection) -> list[Row]:
    return [
        (
            row.codec,
            f"{row.sample_rate_hz}",
            f"{row.channels}",
            f"{row.clips}",
            hours(row.hours),
        )
        for row in found.formats
    ]


def _labels(by_label: dict[str, list[LabelCount]]) -> list[Row]:
    most = max((sum(map(_clips, counts)) for counts in by_label.values()), default=0)
    return [row for counts in by_label.values() for row in _label_rows(counts, most)]


def _label_rows(counts: Sequence[LabelCount], most: int) -> Iterable[Row]:
    for number, count in enumerate(counts):
        yield (
            (count.label or "(empty)") if number == 0 else "",
            count.subset,
            f"{_clips(count)}",
            f"{_clips(count) / most:.4f}",
            f"{count.events}" if count.events else "",
            f"{count.seconds:.1f}" if count.events else "",
            "" if count.median_s is None else f"{count.median_s:.3f}",
        )


def _clips(count: LabelCount) -> int:
    return max(count.strong_clips, count.weak_clips)


def _polyphony(found: Inspection) -> list[Row]:
    return [
        (
            row.subset,
            f"{sum(row.seconds[1:]):.1f}",
            *(f"{row.share(events):.1%}" for events in (1, 2, 3)),
            f"{row.seconds[0]:.1f}",
        )
        for row in found.polyphony
    ]
