"""An inspection as one HTML page that needs nothing else; all text of the dataset is escaped."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape

from pipelines.pages.parts import STYLE, counted, table
from pipelines.stages.inspect.plots import DRAWN, histogram
from shards.quality.finding import Finding
from shards.quality.label_statistics import LabelCount
from shards.quality.report import Inspection

SHOWN_EXAMPLES = 30  # per finding; inspect.json names more
SHOWN_LABELS = 40  # before the list folds

# Nothing is loaded and nothing runs, whatever a label says.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(found: Inspection) -> str:
    """The whole page."""
    title = f"Inspection of {escape(found.name)}"
    classes = counted(len(found.classes), "class", "classes")
    lead = f"{counted(found.clips, 'clip', 'clips')}, {_hours(found.hours)}, {classes}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title><style>{STYLE}</style></head><body>",
            f"<h1>{title}</h1>",
            f'<p class="lead">{lead}; licence: {escape(found.licence)}</p>',
            *_findings(found.findings),
            *_subsets(found),
            *_formats(found),
            *_pictures(found),
            *_labels(found.labels),
            *_polyphony(found),
            "</body></html>",
            "",
        ]
    )


def _findings(findings: Sequence[Finding]) -> Iterable[str]:
    yield "<h2>Findings</h2>"
    if not findings:
        yield "<p>Nothing doubtful was found.</p>"
    for finding in findings:
        shown = finding.examples[:SHOWN_EXAMPLES]
        more = finding.count - len(shown)
        items = "".join(f"<li>{escape(example)}</li>" for example in shown)
        rest = (
            f"<li>... and {more} more: see inspect.json and measured/levels/</li>" if more else ""
        )
        yield (
            f'<div class="finding {finding.severity}">'
            f'<p><b class="severity">{finding.severity}</b> '
            f'<span class="what">{escape(finding.what)}: {finding.count}</span></p>'
            f"<p>{escape(finding.advice)}</p>"
            f"<details><summary>which</summary><ul>{items}{rest}</ul></details></div>"
        )


def _subsets(found: Inspection) -> Iterable[str]:
    yield "<h2>Subsets</h2>"
    yield table(
        ("subset", "clips", "length", "with events", "with weak labels", "events", "recordings"),
        (
            (
                row.subset,
                f"{row.clips}",
                _hours(row.hours),
                f"{row.strong}",
                f"{row.weak}",
                f"{row.events}",
                "unknown" if row.recordings is None else f"{row.recordings}",
            )
            for row in found.subsets
        ),
    )


def _formats(found: Inspection) -> Iterable[str]:
    yield "<h2>Formats</h2>"
    yield table(
        ("codec", "rate (Hz)", "channels", "clips", "length"),
        (
            (
                row.codec,
                f"{row.sample_rate_hz}",
                f"{row.channels}",
                f"{row.clips}",
                _hours(row.hours),
            )
            for row in found.formats
        ),
    )


def _pictures(found: Inspection) -> Iterable[str]:
    yield '<h2>Histograms</h2><div class="pictures">'
    for name, (title, unit) in DRAWN.items():
        if name in found.distributions:
            source = histogram(found.distributions[name], name)
            yield f'<img src="{source}" alt="{title} in {unit}: a histogram">'
    yield "</div>"


def _labels(labels: Sequence[LabelCount]) -> Iterable[str]:
    yield "<h2>Labels</h2>"
    if not labels:
        yield "<p>Nothing is labelled.</p>"
        return
    by_label: dict[str, list[LabelCount]] = defaultdict(list)
    for count in labels:
        by_label[count.label].append(count)
    most = max(sum(map(_clips, counts)) for counts in by_label.values())
    rows = [row for counts in by_label.values() for row in _label_rows(counts, most)]
    head = ("label", "subset", "clips", "", "events", "seconds", "median (s)")
    names = list(by_label)[:SHOWN_LABELS]
    first = sum(len(by_label[name]) for name in names)
    yield table(head, rows[:first], bars=3)
    if len(by_label) > SHOWN_LABELS:
        rest = len(by_label) - SHOWN_LABELS
        yield f"<details><summary>{rest} rarer labels</summary>"
        yield f"{table(head, rows[first:], bars=3)}</details>"


def _label_rows(counts: Sequence[LabelCount], most: int) -> Iterable[tuple[str, ...]]:
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


def _polyphony(found: Inspection) -> Iterable[str]:
    if not found.polyphony:
        return
    yield "<h2>Overlap</h2><p>Share of the labelled time with so many events at a time.</p>"
    yield table(
        ("subset", "labelled (s)", "1 event", "2 events", "3 or more", "no event (s)"),
        (
            (
                row.subset,
                f"{sum(row.seconds[1:]):.1f}",
                *(f"{row.share(events):.1%}" for events in (1, 2, 3)),
                f"{row.seconds[0]:.1f}",
            )
            for row in found.polyphony
        ),
    )


def _hours(hours: float) -> str:
    return f"{hours:.2f} h" if hours >= 1 else f"{hours * 60:.2f} min"
