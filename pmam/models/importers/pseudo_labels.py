"""PMAM's published pseudo labels: one table of frame posteriors per clip."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

TIMES = ("onset", "offset")


@dataclass(frozen=True, kw_only=True)
class PseudoLabels:
    """The posteriors of one clip's frames, from the beginning of the clip on."""

    hop_s: float
    posteriors: npt.NDArray[np.float32]  # (T, K); 4 decimals: rows add up to about 1


def parse_pseudo_labels(text: str, name: str) -> PseudoLabels:
    """A table with columns onset, offset, 0, 1, ... K - 1, separated by tabs, one row per frame.

    `name` stands in errors.

    Raises:
        InputError: other columns, no rows, rows that leave gaps, or values outside of [0, 1].
    """
    head, _, body = text.partition("\n")
    columns = tuple(head.strip().split("\t"))
    prototypes = len(columns) - len(TIMES)
    if prototypes < 1 or columns != (*TIMES, *map(str, range(prototypes))):
        raise InputError(
            f"{name}: got columns {', '.join(columns[:4])}...; expected onset, offset, 0, 1, ... "
            "separated by tabs"
        )
    try:
        table = np.loadtxt(io.StringIO(body), delimiter="\t", ndmin=2) if body.strip() else None
    except ValueError as error:
        raise InputError(f"{name}: {error}; expected {len(columns)} numbers per row") from error
    if table is None or table.shape[1] != len(columns):
        shape = (0, 0) if table is None else table.shape
        raise InputError(f"{name}: got rows x columns {shape}; expected {len(columns)} columns")
    hop_s = float(table[-1, 1]) / len(table)
    edges = hop_s * np.arange(len(table) + 1)
    drift = max(np.abs(table[:, 0] - edges[:-1]).max(), np.abs(table[:, 1] - edges[1:]).max())
    if not hop_s > 0 or not drift <= hop_s / 4:
        raise InputError(
            f"{name}: frames do not follow each other from 0 s on every {hop_s:g} s; "
            "expected one row per frame in order of time"
        )
    posteriors = table[:, len(TIMES) :]
    if not ((posteriors >= 0) & (posteriors <= 1)).all():
        raise InputError(f"{name}: got posteriors outside of 0 to 1; expected probabilities")
    return PseudoLabels(hop_s=hop_s, posteriors=posteriors.astype(np.float32))
