"""What commands print on standard output: tables, and what a dataset holds.

`rich` loads with the first table: a fifth of a second, which most commands end without.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.runtime.files.urls import join
from pipelines.runtime.lines import SHOWN, print_line, print_result
from pipelines.runtime.stage import DONE, record_of
from pipelines.runtime.words import TITLES, counted, thousands

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_CLASSES = 25
Numbers = Mapping[str, Mapping[str, Any]]  # by metric: value and values per class


def output() -> "Console":
    """Standard output for tables, without colours where it is no terminal."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def print_rows(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[Sequence[str]] = (),
) -> None:
    """A table of texts, all but its first column to the right; more rows below a line."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    if below:
        table.add_section()
    for row in below:
        table.add_row(*map(escape, row))
    output().print(table)


def print_numbers(subset: str, arms: Mapping[str, Numbers]) -> None:
    """One line per arm, one column per metric; then each class."""
    metrics = list(next(iter(arms.values())))
    rows = [
        (arm or "all classes", *(f"{numbers[m]['value']:.3f}" for m in metrics))
        for arm, numbers in arms.items()
    ]
    last = list(arms)[-1]
    classes = []
    for name in arms[last][metrics[0]]["per_class"]:
        values = (arms[last][m]["per_class"].get(name, float("nan")) for m in metrics)
        named = name if len(arms) == 1 else f"{last}: {name}"
        classes.append((named, *(f"{value:.3f}" for value in values)))
    head = ("", *(TITLES.get(metric, metric) for metric in metrics))
    print_rows(f"{subset} clips", head, rows, below=classes)


def print_dataset(url: str) -> None:
    """What a dataset holds, what was left out of it and why, and where it is.

    Args:
        url: of a stage that wrote a dataset.
    """
    result = record_of(url)["result"]
    subsets = ", ".join(f"{thousands(n)} {subset}" for subset, n in result["subsets"].items())
    shards = f" in {counted(result['shards'], 'shard')}" if "shards" in result else ""
    print_line(f"{counted(result['clips'], 'clip')}{shards} ({subsets})")
    _print_labels(result.get("labels", {}))
    for note in result["notes"]:
        print_line(note)
    skipped = [f"{source_id}: {reason}" for source_id, reason in result["skipped"]]
    for what, entries in (
        ("skipped", skipped),
        ("missing audio", result.get("missing", [])),
        ("missing labels", result.get("unlabelled", [])),
        ("extra audio, left out", result.get("extra", [])),
        ("in the tables, but not in the dataset", result.get("not_in_dataset", [])),
    ):
        if entries:
            print_line(f"{what}: {len(entries)}")
        for entry in entries[:SHOWN]:
            print_line(f"  {entry}")
        if len(entries) > SHOWN:
            print_line(f"  ... all of them are in {join(url, DONE)}")
    print_result(url)


def _print_labels(labels: Mapping[str, Mapping[str, int]]) -> None:
    """The classes of a dataset with their counts, the most frequent first."""
    if not labels:
        return
    most = sorted(labels.items(), key=lambda item: (-item[1]["clips"], item[0]))
    rows = [
        (label, thousands(counts["clips"]), thousands(counts["events"]))
        for label, counts in most[:SHOWN_CLASSES]
    ]
    if len(labels) > SHOWN_CLASSES:
        rows.append((f"... and {len(labels) - SHOWN_CLASSES} rarer ones", "", ""))
    print_rows(counted(len(labels), "class", "classes"), ("class", "clips", "events"), rows)
    # a misspelled class is a rare one
    if rarest := most[SHOWN_CLASSES:][-SHOWN_CLASSES:]:
        names = ", ".join(f"{label} ({thousands(counts['clips'])})" for label, counts in rarest)
        print_line(f"rarest: {names}")
