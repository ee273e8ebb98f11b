"""Pictures of an evaluation: where the detector stands, and what it says of single clips."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.results import MetricResult

EXAMPLES = 6


def class_bars(results: Mapping[str, MetricResult]) -> Figure:
    """Per-class values of each metric as bars."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    classes = list(next(iter(results.values())).per_class)
    width = 0.8 / len(results)
    for number, (metric, result) in enumerate(results.items()):
        heights = [result.per_class.get(name, np.nan) for name in classes]
        axes.bar(
            np.arange(len(classes)) + (number + 0.5) * width - 0.4,
            heights,
            width,
            label=f"{metric} {float(result.value):.3f}",
        )
    axes.set_xticks(np.arange(len(classes)), classes, rotation=20, ha="right")
    axes.set_ylim(0, 1)
    axes.set_ylabel("value")
    axes.grid(axis="y", alpha=0.3)
    axes.legend(ncols=len(results), fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.14))
    return figure


def example_timelines(clips: EvaluationSet) -> Figure:
    """Scores of some clips as shades, the true events as outlines."""
    chosen = clips.clips[:EXAMPLES]
    figure = Figure(figsize=(11, 1.1 + 1.7 * len(chosen)), layout="constrained")
    rows: Any = figure.subplots(len(chosen), 1, squeeze=False, sharex=True)
    for axes, clip in zip(rows[:, 0], chosen, strict=True):
        scores, edges = clips.scores[clip], clips.edges_s(clip)
        image = axes.pcolormesh(
            edges, np.arange(len(clips.classes) + 1), scores.T, cmap="Blues", vmin=0, vmax=1
        )
        for event in clips.ground_truth[clip]:
            row = list(clips.classes).index(event.label)
            axes.plot(
                [event.onset_s, event.offset_s, event.offset_s, event.onset_s, event.onset_s],
                [row, row, row + 1, row + 1, row],
                color="tab:red",
                linewidth=1.4,
            )
        axes.set_yticks(np.arange(len(clips.classes)) + 0.5, clips.classes, fontsize=7)
        axes.set_title(clip, fontsize=8, loc="left")
    rows[-1, 0].set_xlabel("time (s)")
    figure.colorbar(image, ax=rows[:, 0].tolist(), label="probability (true events in red)")
    return figure
