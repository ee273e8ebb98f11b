"""The outputs of runs beside each other: numbers with intervals, and paired differences."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipelines.report.contents import ALONE
from pipelines.report.numbers import Numbers, Scored
from pipelines.runtime.words import TITLES, counted
from pmam.metrics.intervals import Interval

ANSWER = "psds1"  # the metric of the first sentence


@dataclass(frozen=True, kw_only=True)
class Output:
    """A detector's output on the clips of a subset, and what it is worth.

    Args:
        name: for people; of one run the arm alone.
        scored: scores, truth and detections.
        numbers: None where the clips hold no event of any class: nothing can be measured.
    """

    name: str
    scored: Scored
    numbers: Numbers | None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two outputs of the same clips."""

    first: Output
    second: Output

    @property
    def name(self) -> str:
        """`PMAM − labels alone`."""
        return f"{self.first.name} − {self.second.name}"

    def difference(self, metric: str, of: str = "macro") -> Interval:
        """How much better the first is, over all classes or of one."""
        return _numbers(self.first).minus(_numbers(self.second), metric, of)


def pairs(outputs: Sequence[Output]) -> list[Pair]:
    """What is compared: each run with labels alone, then later runs with the first."""
    measured = [output for output in outputs if output.numbers is not None]
    found = [
        Pair(first=one, second=other)
        for one, other in pairwise(measured)
        if one.scored.run is other.scored.run and other.scored.arm.name == ALONE
    ]
    heads = [output for output in measured if output.scored.arm.name != ALONE]
    found += [Pair(first=other, second=heads[0]) for other in heads[1:]]
    return [pair for pair in found if _alike(pair.first.scored, pair.second.scored)]


def _alike(one: Scored, other: Scored) -> bool:
    return (
        one.identity == other.identity
        and list(one.clips.classes) == list(other.clips.classes)
        and one.clips.ground_truth == other.clips.ground_truth
    )


def answer(outputs: Sequence[Output], compared: Sequence[Pair]) -> list[str]:
    """What came out, a sentence for each comparison; none where nothing could be measured."""
    measured = [output for output in outputs if output.numbers is not None]
    title = TITLES[ANSWER]
    sentences = []
    for pair in compared:
        gain = pair.difference(ANSWER)
        values = [_numbers(output).interval(ANSWER).value for output in (pair.first, pair.second)]
        clips = counted(len(pair.first.scored.rows), "test clip")
        sentences.append(
            f"{_verdict(pair, gain)}: {title} {values[0]:.3f} against {values[1]:.3f} on {clips}, "
            f"a difference of {signed(gain.value)}{_between(pair.first, gain, signed)}."
        )
    told = {id(output) for pair in compared for output in (pair.first, pair.second)}
    why = "it is of other clips or classes" if compared else "there is nothing to compare it with"
    for output in measured:
        if id(output) not in told:
            found = _numbers(output).interval(ANSWER)
            clips = counted(len(output.scored.rows), "test clip")
            sentences.append(
                f"{output.name} reaches a {title} of {found.value:.3f}{_between(output, found)} on "
                f"{clips}; {why}."
            )
    return sentences


def _plain(number: float) -> str:
    return f"{number:.3f}"


def _between(output: Output, found: Interval, text: Callable[[float], str] = _plain) -> str:
    """The interval in brackets; nothing where there were no resamples."""
    if math.isnan(found.low):
        return ""
    level = in_percent(_numbers(output).level)
    return f" ({level} interval {text(found.low)} to {text(found.high)})"


def _verdict(pair: Pair, gain: Interval) -> str:
    one, other = pair.first.name, pair.second.name
    if math.isnan(gain.low):
        return f"{one} against {other}"
    if gain.low > 0:
        return f"{one} is better than {other}"
    if gain.high < 0:
        return f"{one} is worse than {other}"
    return f"{one} and {other} cannot be told apart"


def _numbers(output: Output) -> Numbers:
    assert output.numbers is not None
    return output.numbers


def in_percent(level: float) -> str:
    """`95 %`, `99.9 %`."""
    return f"{100 * level:g} %"


def overall_rows(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """A row per output, a number with its interval per metric."""
    return [
        {
            "name": output.name,
            "cells": [cell(_numbers(output).interval(metric)) for metric in TITLES],
        }
        for output in outputs
        if output.numbers is not None
    ]


def difference_rows(compared: Sequence[Pair]) -> list[dict[str, Any]]:
    """A row per pair, a difference with its interval per metric."""
    return [
        {"name": pair.name, "cells": [gain_cell(pair.difference(metric)) for metric in TITLES]}
        for pair in compared
    ]


def class_rows(outputs: Sequence[Output], compared: Sequence[Pair]) -> list[dict[str, Any]]:
    """A row per metric and class: events, each output's number, and each pair's difference."""
    measured = [output for output in outputs if output.numbers is not None]
    if not measured:
        return []
    rows = []
    first = measured[0].scored.clips
    alike = [o for o in measured if list(o.scored.clips.classes) == list(first.classes)]
    events = {
        name: sum(1 for clip in first.clips for _ in first.events_of(clip, name))
        for name in first.classes
    }
    for metric, title in TITLES.items():
        for name in first.classes:
            values = [cell(_numbers(output).interval(metric, name)) for output in alike]
            values += [gain_cell(pair.difference(metric, name)) for pair in compared]
            rows.append({"metric": title, "name": name, "events": events[name], "cells": values})
    return rows


def class_heads(outputs: Sequence[Output], compared: Sequence[Pair]) -> list[str]:
    """The heads of the columns of `class_rows` after class, metric and events."""
    measured = [output for output in outputs if output.numbers is not None]
    classes = [list(output.scored.clips.classes) for output in measured]
    names = [o.name for o, of in zip(measured, classes, strict=True) if of == classes[0]]
    return [*names, *(pair.name for pair in compared)]


def cell(found: Interval) -> dict[str, Any]:
    """A number as a table shows it, with what it is sorted by."""
    if math.isnan(found.value):
        return {"value": "", "text": "–", "lines": [], "mood": ""}
    lines = [] if math.isnan(found.low) else [f"{found.low:.3f}–{found.high:.3f}"]
    return {"value": found.value, "text": f"{found.value:.3f}", "lines": lines, "mood": ""}


def gain_cell(found: Interval) -> dict[str, Any]:
    """A difference as a table shows it."""
    if math.isnan(found.value):
        return {"value": "", "text": "–", "lines": [], "mood": ""}
    mood = "better" if found.low > 0 else "worse" if found.high < 0 else ""
    lines = []
    if not math.isnan(found.low):
        lines = [f"{signed(found.low)} to {signed(found.high)}", f"worse in {found.below_zero:.0%}"]
    return {"value": found.value, "text": signed(found.value), "lines": lines, "mood": mood}


def signed(number: float) -> str:
    """`+0.014`, `−0.004`."""
    return f"{number:+.3f}".replace("-", "−")


def metrics_csv(outputs_of: Mapping[str, Sequence[Output]]) -> str:
    """All numbers, a row per detector, subset, metric and class (or `macro`, `micro`)."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["run", "detector", "subset", "metric", "class", "value", "low", "high"])
    for subset, outputs in outputs_of.items():
        for output in outputs:
            writer.writerows(_csv_rows(output, subset))
    return file.getvalue()


def _csv_rows(output: Output, subset: str) -> Iterable[list[str]]:
    if output.numbers is None:
        return
    for row in output.numbers.metrics.rows(output.numbers.level):
        numbers = ["" if math.isnan(x) else repr(x) for x in (row.value, row.low, row.high)]
        yield [
            *(output.scored.run.url, output.scored.arm.name, subset, row.metric, row.of),
            *numbers,
        ]
