"""Pictures of words against truth: ROC, precision and recall, densities, counts, confusion."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from pipelines.stages.tag.truth import EventAnswers, SceneAnswers
from pmam.metrics.ranking.presence import MAX_FPR, MIN_TPR, Answers, auc, roc_curve

BINS = 25
Groups = Sequence[tuple[str, Answers]]


def event_groups(events: EventAnswers) -> list[tuple[str, Answers]]:
    """All words together, then each by itself, over windows where times are known."""
    answers, word_of = events.clips, events.word_of_clip
    if events.windows is not None:
        answers, word_of = events.windows, events.word_of_window

    def of(n: int) -> Answers:
        chosen = word_of == n
        return Answers(
            scores=answers.scores[chosen],
            said=answers.said[chosen],
            true=answers.true[chosen],
            clip=answers.clip[chosen],
        )

    words = [(word, of(n)) for n, word in enumerate(events.words)]
    return [("all", answers), *words] if len(words) > 1 else words


def _defined(groups: Groups) -> list[tuple[str, Answers]]:
    return [(name, each) for name, each in groups if 0 < each.true.sum() < len(each.true)]


def roc_figure(groups: Groups, what: str) -> Figure:
    """True over false positive rates, with the box of the partial area."""
    figure = Figure(figsize=(5.5, 5.2), layout="constrained")
    axes = figure.subplots()
    for name, answers in _defined(groups):
        weights = np.ones(len(answers.scores))
        fpr, tpr = roc_curve(answers, weights)
        axes.plot(fpr, tpr, label=f"{name} (area {auc(answers, weights):.2f})")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle=":")
    axes.fill_between([0, MAX_FPR], MIN_TPR, 1, color="grey", alpha=0.12, label="partial area")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.set_title(f"ROC, {what}", fontsize=10)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def precision_recall_figure(groups: Groups, what: str) -> Figure:
    """Precision over recall, a step at each score."""
    figure = Figure(figsize=(5.5, 5.2), layout="constrained")
    axes = figure.subplots()
    for name, answers in _defined(groups):
        order = np.argsort(-answers.scores, kind="stable")
        last = np.append(np.diff(answers.scores[order]) != 0, True)
        hits = np.cumsum(answers.true[order])[last]
        taken = (np.arange(len(order)) + 1)[last]
        axes.step(hits / answers.true.sum(), hits / taken, where="post", label=name)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.03), xlabel="recall", ylabel="precision")
    axes.set_title(f"precision and recall, {what}", fontsize=10)
    axes.legend(fontsize=8)
    return figure


def density_figure(groups: Groups, what: str) -> Figure:
    """How scores spread where the word is true, and where it is not."""
    figure = Figure(figsize=(6, 1.0 + 1.5 * len(groups)), layout="constrained")
    rows: Any = figure.subplots(len(groups), 1, squeeze=False, sharex=True)
    top = max(float(answers.scores.max()) for _, answers in groups) or 1.0
    edges = np.linspace(0, top, BINS + 1)
    for axes, (name, answers) in zip(rows[:, 0], groups, strict=True):
        for is_true, colour in ((False, "tab:grey"), (True, "tab:blue")):
            scores = answers.scores[answers.true == is_true]
            if len(scores):
                share = np.full(len(scores), 1 / len(scores))
                told = f"{'true' if is_true else 'not true'} ({len(scores)})"
                axes.hist(scores, edges, weights=share, alpha=0.6, color=colour, label=told)
        axes.set_title(name, fontsize=9, loc="left")
        axes.set_ylabel("share")
        axes.legend(fontsize=7)
    rows[-1, 0].set_xlabel(f"score, {what}")
    return figure


def counts_figure(names: Sequence[str], actual: Sequence[int], said: Sequence[int]) -> Figure:
    """Actual against predicted: how many are true of each name, and how many were said."""
    figure = Figure(figsize=(max(5.0, 0.8 * len(names) + 2), 4), layout="constrained")
    axes, places = figure.subplots(), np.arange(len(names))
    axes.bar(places - 0.2, actual, 0.4, label="actual")
    axes.bar(places + 0.2, said, 0.4, label="predicted")
    axes.set_xticks(places, names, rotation=25, ha="right")
    axes.set_ylabel("clips")
    axes.legend(fontsize=8)
    return figure


def confusion_figure(
    counts: npt.NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]
) -> Figure:
    """Counts by what is true (rows) and what was said (columns)."""
    size = 2.6 + 0.45 * len(columns), 2.2 + 0.4 * len(rows)
    figure = Figure(figsize=(max(4.2, size[0]), max(3.6, size[1])), layout="constrained")
    axes = figure.subplots()
    axes.imshow(counts, cmap="Blues", aspect="auto", vmin=0)
    axes.set_xticks(np.arange(len(columns)), columns, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(np.arange(len(rows)), rows, fontsize=8)
    axes.set(xlabel="predicted", ylabel="actual")
    dark = counts.max() / 2
    for y, x in np.argwhere(counts > 0):
        colour = "white" if counts[y, x] > dark else "black"
        axes.text(x, y, str(counts[y, x]), ha="center", va="center", fontsize=8, color=colour)
    return figure


def event_figures(events: EventAnswers) -> dict[str, Figure]:
    """All pictures of events, by the names of their files."""
    groups = event_groups(events)
    what = "windows" if events.windows is not None else "clips"
    answers, word_of = events.clips, events.word_of_clip
    actual = [int(answers.true[word_of == n].sum()) for n in range(len(events.words))]
    said = [int(answers.said[word_of == n].sum()) for n in range(len(events.words))]
    counts = np.zeros((2, 2), np.int64)
    np.add.at(counts, (answers.true.astype(int), answers.said.astype(int)), 1)
    yes_no = ("absent", "present")
    return {
        "events_roc": roc_figure(groups, what),
        "events_precision_recall": precision_recall_figure(groups, what),
        "events_densities": density_figure(groups, what),
        "events_actual_predicted": counts_figure(events.words, actual, said),
        "events_confusion": confusion_figure(counts, yes_no, yes_no),
    }


def scene_figures(scenes: SceneAnswers) -> dict[str, Figure]:
    """All pictures of scenes, by the names of their files."""
    groups = [("all scenes", scenes.answers)]
    columns = (*scenes.names, "none")
    counts = np.zeros((len(scenes.names), len(columns)), np.int64)
    np.add.at(counts, (scenes.true, scenes.best), 1)  # -1: the last column
    what = "clips and scenes"
    return {
        "scenes_roc": roc_figure(groups, what),
        "scenes_precision_recall": precision_recall_figure(groups, what),
        "scenes_densities": density_figure(groups, what),
        "scenes_actual_predicted": counts_figure(
            columns, [*counts.sum(axis=1).tolist(), 0], counts.sum(axis=0).tolist()
        ),
        "scenes_confusion": confusion_figure(counts, scenes.names, columns),
    }
