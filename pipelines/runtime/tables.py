"""What commands print on standard output: tables, and where the artifact is."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from cluster.storage.filesystems import absolute
from pipelines.runtime.stage import DONE, record_of
from pipelines.runtime.urls import join
from pipelines.runtime.words import TITLES

SHOWN = 10  # of long lists, on the terminal
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


def print_packed(url: str) -> None:
    """What was packed, what was left out and why, and where it is."""
    result = record_of(url)["result"]
    console = output()
    table = Table(title="packed", title_justify="left")
    table.add_column("subset")
    table.add_column("clips", justify="right")
    for subset, clips in result["subsets"].items():
        table.add_row(subset, str(clips))
    table.add_row("all", str(result["clips"]))
    console.print(table)
    for note in result["notes"]:
        console.print(note, markup=False)
    skipped = [f"{source_id}: {reason}" for source_id, reason in result["skipped"]]
    for what, entries in (
        ("skipped", skipped),
        ("missing audio", result["missing"]),
        ("missing labels", result["unlabelled"]),
        ("extra audio, left out", result["extra"]),
    ):
        if entries:
            console.print(f"{what}: {len(entries)}", markup=False)
        for entry in entries[:SHOWN]:
            console.print(f"  {entry}", markup=False)
        if len(entries) > SHOWN:
            console.print(f"  ... all of them are in {join(url, DONE)}", markup=False)
    print_result(url)
