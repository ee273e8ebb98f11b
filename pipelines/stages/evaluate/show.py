"""An evaluation on the terminal: what was lacking first, then the numbers."""

import csv
import io

from pipelines.runtime.files.urls import store
from pipelines.runtime.lines import print_line
from pipelines.runtime.tables import print_numbers, print_rows
from pipelines.runtime.words import TITLES, counted
from pipelines.stages.evaluate.results import MAIN
from pipelines.stages.evaluate.stage import lacking_of, systems_of


def print_evaluation(url: str) -> None:
    """Counts of what truth and systems lacked, a table per subset, and differences of systems."""
    lacking = lacking_of(url)
    for subset, systems in systems_of(url).items():
        for system, found in lacking[subset].items():
            clips = counted(found["counts"]["clips"], "clip")
            told = "; ".join(found["lines"]) or "nothing lacking on either side"
            print_line(f"{system}, {subset}: {clips}; {told}")
        several = {"" if len(systems) == 1 else name: numbers for name, numbers in systems.items()}
        if all(several.values()):
            print_numbers(subset, several)
    _print_all(url)
    if store(url).size("differences.csv") is not None:
        _print_differences(url)


def _rows(url: str, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(store(url).read(name).decode())))


def _shown(row: dict[str, str], value: str) -> str:
    if not row[value]:
        return "-"
    interval = (
        f" [{float(row['low']):.3f}, {float(row['high']):.3f}]"
        if row["low"] and row["high"]
        else ""
    )
    return f"{float(row[value]):.3f}{interval}"


def _print_all(url: str) -> None:
    """Every metric over the classes, with its interval; macro and micro."""
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in _rows(url, "metrics.csv"):
        if row["class"] in ("macro", "micro"):
            key = row["subset"], row["system"], row["metric"]
            cells.setdefault(key, {})[row["class"]] = _shown(row, "value")
    groups: dict[tuple[str, str], list[list[str]]] = {}
    for (subset, system, metric), each in cells.items():
        row_cells = [metric, each.get("macro", "-"), each.get("micro", "-")]
        groups.setdefault((subset, system), []).append(row_cells)
    for (subset, system), rows in groups.items():
        print_rows(f"{system}, {subset} clips", ["metric", "macro", "micro"], rows)


def _print_differences(url: str) -> None:
    rows = [
        [
            f"{row['system']} - {row['minus']}",
            *(row["subset"], TITLES[row["metric"]], _shown(row, "difference")),
            f"{100 * float(row['share_below_zero']):.1f} %" if row["share_below_zero"] else "-",
        ]
        for row in _rows(url, "differences.csv")
        if row["metric"] in MAIN and row["class"] == "macro"
    ]
    head = ["systems", "subset", "metric", "difference", "resamples below zero"]
    print_rows("Differences over the same resamples", head, rows)
