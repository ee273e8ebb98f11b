"""The outputs of runs beside each other: numbers with intervals, and paired differences."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipelines.report.contents import ALONE
from pipelines.report.numbers import Difference, Numbers, Range, Scored, difference, interval
from pipelines.runtime.words import TITLES, counted

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

    def difference(self, metric: str, of_class: int | None = None) -> Difference:
        """How much better the first is, over all classes or of one."""
        both = []
        for output in (self.first, self.second):
            assert output.numbers is not None
            both.append(output.numbers.metrics[metric].of_class(of_class))
        return difference(both[0], both[1])


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


def answer(outputs: Sequence[Output], compared: Sequence[Pair]) -> str | None:
    """What came out, in one sentence or two; None where nothing could be measured."""
    measured = [output for output in outputs if output.numbers is not None]
    if not measured:
        return None
    title = TITLES[ANSWER]
    if not compared:
        first = measured[0]
        found = _overall(first, ANSWER)
        clips = counted(len(first.scored.rows), "test clip")
        return (
            f"{first.name} reaches a {title} of {found.value:.3f} (95 % interval "
            f"{found.low:.3f} to {found.high:.3f}) on {clips}; there is nothing to compare it with."
        )
    sentences = []
    for pair in compared:
        gain = pair.difference(ANSWER)
        values = [_overall(output, ANSWER).value for output in (pair.first, pair.second)]
        clips = counted(len(pair.first.scored.rows), "test clip")
        sentences.append(
            f"{_verdict(pair, gain)}: {title} {values[0]:.3f} against {values[1]:.3f} on {clips}, "
            f"a difference of {signed(gain.value)} (95 % interval {signed(gain.low)} to "
            f"{signed(gain.high)})."
        )
    return " ".join(sentences)


def _verdict(pair: Pair, gain: Difference) -> str:
    one, other = pair.first.name, pair.second.name
    if gain.low > 0:
        return f"{one} is better than {other}"
    if gain.high < 0:
        return f"{one} is worse than {other}"
    return f"{one} and {other} cannot be told apart"


def _overall(output: Output, metric: str) -> Range:
    assert output.numbers is not None
    found = output.numbers.metrics[metric]
    return interval(found.value, found.draws)


def overall_rows(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    """A row per output, a number with its interval per metric."""
    return [
        {"name": output.name, "cells": [cell(_overall(output, metric)) for metric in TITLES]}
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
        for number, name in enumerate(first.classes):
            values = []
            for output in alike:
                assert output.numbers is not None
                values.append(cell(interval(*output.numbers.metrics[metric].of_class(number))))
            values += [gain_cell(pair.difference(metric, number)) for pair in compared]
            rows.append({"metric": title, "name": name, "events": events[name], "cells": values})
    return rows


def class_heads(outputs: Sequence[Output], compared: Sequence[Pair]) -> list[str]:
    """The heads of the columns of `class_rows` after class, metric and events."""
    measured = [output for output in outputs if output.numbers is not None]
    classes = [list(output.scored.clips.classes) for output in measured]
    names = [o.name for o, of in zip(measured, classes, strict=True) if of == classes[0]]
    return [*names, *(pair.name for pair in compared)]


def cell(found: Range) -> dict[str, Any]:
    """A number as a table shows it, with what it is sorted by."""
    if math.isnan(found.value):
        return {"value": "", "text": "–", "lines": [], "mood": ""}
    lines = [] if math.isnan(found.low) else [f"{found.low:.3f}–{found.high:.3f}"]
    return {"value": found.value, "text": f"{found.value:.3f}", "lines": lines, "mood": ""}


def gain_cell(found: Difference) -> dict[str, Any]:
    """A difference as a table shows it."""
    if math.isnan(found.value):
        return {"value": "", "text": "–", "lines": [], "mood": ""}
    mood = "better" if found.low > 0 else "worse" if found.high < 0 else ""
    lines = [f"{signed(found.low)} to {signed(found.high)}", f"worse in {found.below:.0%}"]
    return {"value": found.value, "text": signed(found.value), "lines": lines, "mood": mood}


def signed(number: float) -> str:
    """`+0.014`, `−0.004`."""
    return f"{number:+.3f}".replace("-", "−")


def metrics_csv(outputs_of: Mapping[str, Sequence[Output]]) -> str:
    """All numbers, a row per detector, subset, metric and class; an empty class is all of them."""
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
    for metric, found in output.numbers.metrics.items():
        named = [("", interval(found.value, found.draws))]
        named += [
            (name, interval(*found.of_class(number))) for number, name in enumerate(found.per_class)
        ]
        for name, one in named:
            numbers = ["" if math.isnan(x) else repr(x) for x in (one.value, one.low, one.high)]
            yield [
                *(output.scored.run.url, output.scored.arm.name, subset, metric, name),
                *numbers,
            ]
