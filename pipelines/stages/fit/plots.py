"""A picture of a sweep: what each number of prototypes, and each shape of them, is worth."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from pmam.mixture.model_selection import Outcome

# What is drawn over K: the title and the value.
OVER_K = {
    "log-likelihood (nats a frame)": ("log_likelihood", "held_out_log_likelihood"),
    "BIC": ("bic",),
    "mean entropy (nats)": ("mean_entropy",),
    "silhouette": ("silhouette",),
    "time (s)": ("seconds",),
}
COLUMNS = 3
LABELS = {"log_likelihood": "training", "held_out_log_likelihood": "held out"}


def sweep_figure(outcomes: Sequence[Outcome], chosen: str) -> Figure:
    """Values over K of the chosen shape; and likelihoods of shapes, where several were tried.

    Args:
        outcomes: of all fits.
        chosen: the name of the one that was taken; it is marked.
    """
    taken = next(o for o in outcomes if o.candidate.name == chosen)
    same = [o for o in outcomes if (o.covariance, o.pca) == (taken.covariance, taken.pca)]
    over_k = sorted(same, key=lambda o: o.k) if len(same) > 1 else []
    shapes = [o for o in outcomes if o.k == _most_shapes(outcomes)]
    panels = [name for name, fields in OVER_K.items() if over_k and _values(over_k, fields[0])]
    count = len(panels) + (len(shapes) > 1)
    columns = min(count, COLUMNS)
    rows = -(-count // COLUMNS)
    figure = Figure(figsize=(4 * columns, 3.2 * rows), layout="constrained")
    grid: Any = figure.subplots(rows, columns, squeeze=False).ravel()
    row = grid[:count]
    for axes in grid[count:]:
        axes.set_visible(False)
    for axes, name in zip(row, panels, strict=False):
        for field in OVER_K[name]:
            points = _values(over_k, field)
            axes.plot(*zip(*points, strict=True), marker="o", label=LABELS.get(field, field))
        axes.axvline(taken.k, color="tab:red", linestyle=":", linewidth=1.2)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("prototypes")
        if len(OVER_K[name]) > 1:
            axes.legend(fontsize=8)
    if len(shapes) > 1:
        _draw_shapes(row[-1], shapes, taken)
    for axes in row:
        axes.grid(alpha=0.3)
    return figure


def _draw_shapes(axes: Any, shapes: Sequence[Outcome], taken: Outcome) -> None:
    dimensions = list(dict.fromkeys(o.candidate.dimensions for o in shapes))
    for covariance in dict.fromkeys(o.covariance for o in shapes):
        points = [
            (dimensions.index(o.candidate.dimensions), o.full_space_log_likelihood)
            for o in shapes
            if o.covariance == covariance
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=covariance)
    axes.axvline(
        dimensions.index(taken.candidate.dimensions), color="tab:red", linestyle=":", linewidth=1.2
    )
    axes.set_xticks(range(len(dimensions)), dimensions)
    axes.set_title("held-out log-likelihood, full space", fontsize=9)
    axes.legend(fontsize=8)


def _most_shapes(outcomes: Sequence[Outcome]) -> int:
    """The number of prototypes with which the shapes were tried."""
    counts = [o.k for o in outcomes]
    return max(sorted(set(counts)), key=counts.count)


def _values(outcomes: Sequence[Outcome], field: str) -> list[tuple[int, float]]:
    return [(o.k, getattr(o, field)) for o in outcomes if getattr(o, field) is not None]
