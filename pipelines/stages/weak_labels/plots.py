"""Pictures of a network for weak labels: where it looks, what it rebuilds, how it learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from shards.clip import Event

Floats = npt.NDArray[np.float32]
TIME = "time (s)"


@dataclass(frozen=True, kw_only=True)
class ClipView:
    """What is drawn of one clip; classes are those in it, and those found in it."""

    title: str
    hop_s: float
    inputs: Floats  # (T, mels), standardised
    classes: tuple[str, ...]
    probabilities: Floats  # (classes,), of the clip
    frames: Floats  # (T, classes)
    events: tuple[Event, ...] | None  # None where their times are not known
    labels: tuple[str, ...]
    strongest: int  # which of the classes the mel attention is drawn of
    mel: Floats | None = None  # (T, mels), attention of the strongest class
    time: Floats | None = None  # (classes, T)
    cells: Floats | None = None  # (T, mels), the strongest class's map, where there is no attention
    reconstruction: Floats | None = None  # (T, mels)

    @property
    def edges_s(self) -> npt.NDArray[np.float64]:
        """Borders of the frames, `(T + 1,)`."""
        return np.arange(len(self.inputs) + 1, dtype=np.float64) * self.hop_s


def attention_figure(view: ClipView) -> Figure:
    """Time attention, frequency attention, their product, prediction and truth, one below another.

    A network without dual attention has its map of the strongest class in place of the first three.
    """
    panels: list[tuple[str, Any]] = []
    name = view.classes[view.strongest]
    if view.mel is not None and view.time is not None:
        product = view.time[view.strongest][:, None] * view.mel
        panels += [
            ("time attention", lambda axes: _rows(axes, view, _peaks(view.time), "Purples")),
            (f"frequency attention: {name}", lambda axes: _image(axes, view, view.mel, "magma")),
            (f"product: {name}", lambda axes: _image(axes, view, product**0.5, "magma")),
        ]
    elif view.cells is not None:
        panels.append((f"map: {name}", lambda axes: _image(axes, view, view.cells, "magma")))
    panels += [
        ("prediction", lambda axes: _rows(axes, view, view.frames.T, "Blues")),
        ("truth", lambda axes: _truth(axes, view)),
    ]
    figure = Figure(figsize=(9, 0.9 + 1.75 * len(panels)), layout="constrained")
    rows: Any = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
    for axes, (title, draw) in zip(rows[:, 0], panels, strict=True):
        draw(axes)
        axes.set_title(title, fontsize=9, loc="left")
    rows[-1, 0].set_xlabel(TIME)
    rows[-1, 0].set_xlim(0, view.edges_s[-1])
    figure.suptitle(_headline(view), fontsize=10)
    return figure


def reconstruction_figure(view: ClipView) -> Figure:
    """Input and reconstruction, in one scale of colours each: a reconstruction is at least 0."""
    assert view.reconstruction is not None
    figure = Figure(figsize=(9, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    error = float(np.mean((view.inputs - view.reconstruction) ** 2))
    titles = ("input, standardised log-mel", f"reconstruction, mean squared error {error:.3f}")
    for axes, values, title in zip(
        (upper, lower), (view.inputs, view.reconstruction), titles, strict=True
    ):
        image = _image(axes, view, values, "viridis")
        axes.set_title(title, fontsize=9, loc="left")
        figure.colorbar(image, ax=axes, pad=0.01)
    lower.set_xlabel(TIME)
    figure.suptitle(view.title, fontsize=10)
    return figure


def learning_curves(rows: Mapping[int, Sequence[Mapping[str, float]]]) -> Figure:
    """Numbers of the held-out fold after each epoch, a line for each fold."""
    names = {"ap_micro": "micro AP", "ap_macro": "macro AP", "roc_auc": "ROC AUC"}
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    columns: Any = figure.subplots(1, len(names))
    for axes, (name, title) in zip(columns, names.items(), strict=True):
        for fold, of_fold in rows.items():
            epochs = [row["epoch"] for row in of_fold]
            values = [row[f"validation/{name}"] for row in of_fold]
            axes.plot(epochs, values, marker=".", label=f"fold {fold}")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
    columns[0].legend(fontsize=8)
    return figure


def _headline(view: ClipView) -> str:
    said = ", ".join(
        f"{name} {value:.2f}" for name, value in zip(view.classes, view.probabilities, strict=True)
    )
    return f"{view.title}\nclip probabilities: {said}"


def _peaks(weights: Floats | None) -> Floats:
    """Each row up to its own peak: softmaxes of other classes may be much flatter."""
    assert weights is not None
    scaled: Floats = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-12)
    return scaled


def _image(axes: Any, view: ClipView, values: Floats | None, colours: str) -> Any:
    assert values is not None
    edges = np.arange(values.shape[1] + 1)
    image = axes.pcolormesh(view.edges_s, edges, values.T, cmap=colours)
    axes.set_ylabel("mel band", fontsize=8)
    return image


def _rows(axes: Any, view: ClipView, values: Floats, colours: str) -> None:
    edges = np.arange(len(view.classes) + 1)
    axes.pcolormesh(view.edges_s, edges, values, cmap=colours, vmin=0, vmax=1)
    _name_classes(axes, view)


def _truth(axes: Any, view: ClipView) -> None:
    for row, name in enumerate(view.classes):
        if view.events is None:
            if name in view.labels:  # times are not known
                axes.barh(row + 0.5, view.edges_s[-1], 0.8, color="tab:red", alpha=0.3)
            continue
        for event in view.events:
            if event.label == name:
                length = event.offset_s - event.onset_s
                axes.barh(row + 0.5, length, 0.8, left=event.onset_s, color="tab:red")
    axes.set_ylim(0, len(view.classes))
    _name_classes(axes, view)


def _name_classes(axes: Any, view: ClipView) -> None:
    axes.set_yticks(np.arange(len(view.classes)) + 0.5, view.classes, fontsize=7)
