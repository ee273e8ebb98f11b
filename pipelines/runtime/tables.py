"""What commands print on standard output: tables, and where the artifact is."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cluster.storage.filesystems import absolute
from pipelines.runtime.files.urls import join
from pipelines.runtime.stage import DONE, record_of
from pipelines.runtime.words import TITLES, counted, thousands

SHOWN = 10  # of long lists, on the terminal
SHOWN_CLASSES = 25
Numbers = Mapping[str, Mapping[str, Any]]  # by metric: value and values per class


def output() -> Console:
    """Standard output, without colours where it is no terminal."""
    return Console(highlight=False, soft_wrap=True)


def print_result(url: str) -> None:
    """Where a stage's artifact is."""
    output().print(absolute(url), markup=False)


def print_numbers(subset: str, arms: Mapping[str, Numbers]) -> None:
    """One line per arm, one column per metric; then each class."""
    metrics = list(next(iter(arms.values())))
    table = Table(title=f"{subset} clips", title_justify="left")
    table.add_column("")
    for metric in metrics:
        table.add_column(TITLES.get(metric, metric), justify="right")
    for arm, numbers in arms.items():
        table.add_row(arm or "all classes", *(f"{numbers[m]['value']:.3f}" for m in metrics))
    last = list(arms)[-1]
    table.add_section()
    for name in arms[last][metrics[0]]["per_class"]:
        values = (arms[last][m]["per_class"].get(name, float("nan")) for m in metrics)
        table.add_row(name if len(arms) == 1 else f"{last}: {name}", *(f"{v:.3f}" for v in values))
    output().print(table)


def print_rows(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of texts, all but its first column to the right."""
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    output().print(table)


def print_dataset(url: str) -> None:
    """What a dataset holds, what was left out of it and why, and where it is.

    Args:
        url: of a stage that wrote a dataset.
    """
    result = record_of(url)["result"]
    console = output()
    subsets = ", ".join(f"{thousands(n)} {subset}" for subset, n in result["subsets"].items())
    shards = f" in {counted(result['shards'], 'shard')}" if "shards" in result else ""
    console.print(f"{counted(result['clips'], 'clip')}{shards} ({subsets})", markup=False)
    _print_labels(result.get("labels", {}))
    for note in result["notes"]:
        console.print(note, markup=False)
    skipped = [f"{source_id}: {reason}" for source_id, reason in result["skipped"]]
    for what, entries in (
        ("skipped", skipped),
        ("missing audio", result.get("missing", [])),
        ("missing labels", result.get("unlabelled", [])),
        ("extra audio, left out", result.get("extra", [])),
        ("in the tables, but not in the dataset", result.get("not_in_dataset", [])),
    ):
        if entries:
            console.print(f"{what}: {len(entries)}", markup=False)
        for entry in entries[:SHOWN]:
            console.print(f"  {entry}", markup=False)
        if len(entries) > SHOWN:
            console.print(f"  ... all of them are in {join(url, DONE)}", markup=False)
    print_result(url)


def _print_labels(labels: Mapping[str, Mapping[str, int]]) -> None:
    """The classes of a dataset with their counts, the most frequent first."""
    if not labels:
        return
    table = Table(title=counted(len(labels), "class", "classes"), title_justify="left")
    table.add_column("class")
    table.add_column("clips", justify="right")
    table.add_column("events", justify="right")
    most = sorted(labels.items(), key=lambda item: (-item[1]["clips"], item[0]))
    for label, counts in most[:SHOWN_CLASSES]:
        table.add_row(escape(label), thousands(counts["clips"]), thousands(counts["events"]))
    if len(labels) > SHOWN_CLASSES:
        table.add_row(f"... and {len(labels) - SHOWN_CLASSES} rarer ones", "", "")
    output().print(table)
    # a misspelled class is a rare one
    if rarest := most[SHOWN_CLASSES:][-SHOWN_CLASSES:]:
        names = ", ".join(f"{label} ({thousands(counts['clips'])})" for label, counts in rarest)
        output().print(f"rarest: {names}", markup=False)
