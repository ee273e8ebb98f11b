"""Curves and bars as a template draws them: places in percent, so that text stays readable."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

POINTS = 400  # of a curve: more than a page shows
COLOURS = 8  # the style sheet has so many; later curves begin with the first again
Numbers = npt.ArrayLike


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark of an axis: its place in percent, and what it says."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A named line; `points` are those of an SVG that is 100 wide and 100 high."""

    name: str
    points: str
    colour: int


@dataclass(frozen=True, kw_only=True)
class Chart:
    """What `parts.chart` draws; `summary` says it in words."""

    title: str
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    curves: Sequence[Curve] = ()
    bars: Sequence[tuple[float, float, float]] = ()  # left, width and height in percent
    summary: str = ""


def line_chart(
    title: str,
    curves: Mapping[str, tuple[Numbers, Numbers]],
    *,
    x_label: str,
    y_label: str,
    x_most: float | None = None,
    y_span: tuple[float, float] | None = None,
    steps: bool = False,
) -> Chart:
    """Curves by name: x `(n,)` and y `(n,)`, finite; with `steps` each y holds until the next x."""
    arrays = {name: (np.asarray(x, float), np.asarray(y, float)) for name, (x, y) in curves.items()}
    right = x_most if x_most is not None else max(float(x[-1]) for x, _ in arrays.values())
    left = 0.0 if x_most is not None else min(float(x[0]) for x, _ in arrays.values())
    if left == right:
        left, right = left - 1, right + 1
    if y_span is None:
        least = min(float(y.min()) for _, y in arrays.values())
        most = max(float(y.max()) for _, y in arrays.values())
        y_span = (min(0.0, least), most if most > min(0.0, least) else least + 1)
    low, high = y_span
    drawn = []
    for number, (name, (x, y)) in enumerate(arrays.items()):
        if steps:
            changes = np.append(True, y[1:] != y[:-1])
            x, y = x[changes], y[changes]
        if len(x) > POINTS:
            keep = np.unique(np.linspace(0, len(x) - 1, POINTS).round().astype(int))
            x, y = x[keep], y[keep]
        if steps:
            x, y = np.append(np.repeat(x, 2)[1:], right), np.repeat(y, 2)
        across, up = 100 * (x - left) / (right - left), 100 * (y - low) / (high - low)
        points = " ".join(f"{a:.2f},{100 - b:.2f}" for a, b in zip(across, up, strict=True))
        drawn.append(Curve(name=name, points=points, colour=number % COLOURS))
    ends = "; ".join(f"{name} ends at {y[-1]:.3g}" for name, (_, y) in arrays.items())
    return Chart(
        title=title,
        x_label=x_label,
        y_label=y_label,
        x_ticks=ticks(left, right),
        y_ticks=ticks(low, high),
        curves=drawn,
        summary=f"{title}: {ends}",
    )


def bar_chart(
    title: str,
    edges: Sequence[float],
    counts: Sequence[float],
    *,
    x_label: str,
    y_label: str,
    summary: str = "",
) -> Chart:
    """A histogram: `counts (n,)` between `edges (n + 1,)`.

    Where the smallest bar would not be seen beside the greatest, heights are logarithmic, which
    the title says.
    """
    most = max(counts)
    logarithmic = min(count for count in counts if count) * 50 < most
    if logarithmic:
        title += " (logarithmic)"
        powers = [10**power for power in range(int(math.log10(most)) + 1)]
        heights = [100 * math.log10(1 + count) / math.log10(1 + most) for count in counts]
        y_ticks = [
            Tick(at=round(100 * math.log10(1 + value) / math.log10(1 + most), 2), text=f"{value:g}")
            for value in powers
        ]
    else:
        heights = [100 * count / most for count in counts]
        y_ticks = [tick for tick in ticks(0.0, most) if "." not in tick.text]
    left, right = edges[0], edges[-1]
    places = [100 * (edge - left) / (right - left) for edge in edges]
    bars = [
        (round(a, 3), round(b - a, 3), round(height, 2))
        for a, b, height in zip(places[:-1], places[1:], heights, strict=True)
    ]
    return Chart(
        title=title,
        x_label=x_label,
        y_label=y_label,
        x_ticks=ticks(left, right),
        y_ticks=y_ticks,
        bars=bars,
        summary=summary or title,
    )


def ticks(low: float, high: float, most: int = 6) -> list[Tick]:
    """Round numbers from `low` to `high`, at most so many, with their places."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10) if span / (power * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    values = [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [
        Tick(at=round(100 * (value - low) / span, 2), text=f"{value + 0.0:.{digits}f}")
        for value in values
    ]
