"""Numbers of an evaluation as files: rows for tables, and the main ones for people."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pmam.metrics.intervals import Row
from pmam.metrics.polyphonic.psds import PSDSResult

# What is printed, drawn, and told of in one line.
MAIN = ("psds1", "psds2", "event_f1", "frame_ap", "clip_ap")
HEAD = ("subset", "system", "metric", "class", "value", "low", "high")
DIFFERENCE_HEAD = ("subset", "system", "minus", "metric", "class", "difference", "low", "high")
CURVE_HEAD = ("subset", "system", "metric", "class", "effective_fpr_per_hour", "tpr")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One number of a system minus that of another."""

    subset: str
    system: str
    minus: str
    row: Row


def number_rows(rows: Mapping[tuple[str, str], Sequence[Row]]) -> list[dict[str, Any]]:
    """A record for each subset, system, metric and class (or `macro`, `micro`)."""
    return [
        dict(
            zip(
                HEAD,
                (subset, system, row.metric, row.of, *map(_number, (row.value, row.low, row.high))),
                strict=True,
            )
        )
        for (subset, system), of_system in rows.items()
        for row in of_system
    ]


def difference_rows(found: Iterable[Difference]) -> list[dict[str, Any]]:
    """A record for each difference, with the share of resamples in which it is below zero."""
    return [
        dict(
            zip(
                (*DIFFERENCE_HEAD, "share_below_zero"),
                (
                    *(each.subset, each.system, each.minus, each.row.metric, each.row.of),
                    *map(_number, (each.row.value, each.row.low, each.row.high)),
                    _number(each.row.below_zero),
                ),
                strict=True,
            )
        )
        for each in found
    ]


def curve_rows(subset: str, system: str, metric: str, result: PSDSResult) -> list[dict[str, Any]]:
    """The PSD-ROC: of each class, and `macro` the effective one; corners of staircases alone."""
    curves = {"macro": (result.effective_tpr, result.effective_fpr_per_hour), **result.class_curves}
    return [
        dict(zip(CURVE_HEAD, (subset, system, metric, name, float(rate), float(tpr)), strict=True))
        for name, curve in curves.items()
        for number, (tpr, rate) in enumerate(zip(*curve, strict=True))
        if number == 0 or tpr != curve[0][number - 1]
    ]


def as_csv(rows: Sequence[Mapping[str, Any]], head: Sequence[str]) -> bytes:
    """Rows as a table; what is not defined is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, head, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_json(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a list of objects, one a line; what is not defined, or not finite, is null."""
    finite = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in rows
    ]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in finite)
    return f"[\n{lines}\n]\n".encode()


def main_numbers(rows: Iterable[Row]) -> dict[str, Any]:
    """The metrics of `MAIN`: the value over classes, with its interval, and that of each class."""
    found: dict[str, Any] = {}
    for row in rows:
        if row.metric not in MAIN or row.of == "micro":
            continue
        entry = found.setdefault(row.metric, {"value": math.nan, "per_class": {}})
        if row.of == "macro":
            entry["value"] = row.value
            if not math.isnan(row.low):
                entry["interval"] = [row.low, row.high]
        else:
            entry["per_class"][row.of] = row.value
    return {metric: found[metric] for metric in MAIN if metric in found}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
