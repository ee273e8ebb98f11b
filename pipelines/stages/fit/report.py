"""What the command `fit` prints: a line for each fit that was tried."""

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from pipelines.stages.fit.stage import sweep_of
from pmam.mixture.model_selection import Outcome

# Column: what it shows of a fit.
COLUMNS: dict[str, Callable[[Outcome], object]] = {
    "K": lambda o: o.k,
    "covariance": lambda o: o.covariance,
    "PCA": lambda o: o.pca or "-",
    "training": lambda o: o.log_likelihood,
    "held out": lambda o: o.held_out_log_likelihood,
    "full space": lambda o: o.full_space_log_likelihood,
    "BIC": lambda o: None if o.bic is None else f"{o.bic:.5g}",
    "used": lambda o: o.components_in_use,
    "entropy": lambda o: o.mean_entropy,
    "silhouette": lambda o: o.silhouette,
    "s": lambda o: f"{o.seconds:.1f}",
    "": lambda o: ", ".join(line.partition(":")[0] for line in o.complaints),
}
WIDEST = 200  # characters
SHAPE = ("covariance", "PCA", "full space")  # of interest where several shapes were tried


def print_sweep(url: str) -> None:
    """All fits, with a star at the one that was taken; nothing where there was only one.

    Log-likelihoods are nats per frame: of training frames and of those held out in the mixture's
    space, and of the latter in that of the embeddings.
    """
    if (sweep := sweep_of(url)) is None:
        return
    chosen, outcomes = sweep
    several = len({(o.covariance, o.pca) for o in outcomes}) > 1
    columns = {title: show for title, show in COLUMNS.items() if several or title not in SHAPE}
    table = Table(
        title="log-likelihoods per frame, and what else tells", title_justify="left", box=None
    )
    for title in ("", *columns):
        table.add_column(title, justify="right" if title else "left")
    for outcome in outcomes:
        star = "*" if outcome.candidate.name == chosen else ""
        table.add_row(star, *(_text(show(outcome)) for show in columns.values()))
    # A narrow terminal breaks lines; it must not cut numbers.
    room = Console(width=WIDEST)
    Console(width=room.measure(table).maximum, highlight=False).print(table)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
