"""Metrics of tables: scores and truth as others write them, as sed_scores_eval takes them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pmam.errors import InputError
from pmam.events.event import Event
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.polyphonic.psds import PSDS1, PSDSResult, PSDSSettings
from pmam.metrics.polyphonic.psds import psds as psds_of

TIMES = ("onset", "offset")


def psds(
    scores: Mapping[str, Any],
    truth: Mapping[str, Iterable[tuple[float, float, str]]],
    durations_s: Mapping[str, float] | None = None,
    settings: PSDSSettings = PSDS1,
) -> PSDSResult:
    """The exact PSDS of tables of frame scores.

    Args:
        scores: by clip, a table with a row a frame and the columns `onset`, `offset` and the
            classes: a DataFrame as sed_scores_eval reads it, a pyarrow table, a mapping of columns,
            or what `Detector.scores` returns.
        truth: by clip, its events `(onset, offset, label)` in seconds; none for a clip without.
        durations_s: by clip; by default where its last frame ends.
        settings: `PSDS1` or `PSDS2` of DCASE, or others.

    Raises:
        InputError: tables that do not hold the same clips or classes, or cannot be evaluated.
    """
    return psds_of(evaluation_set(scores, truth, durations_s), settings)


def evaluation_set(
    scores: Mapping[str, Any],
    truth: Mapping[str, Iterable[tuple[float, float, str]]],
    durations_s: Mapping[str, float] | None = None,
) -> EvaluationSet:
    """What metrics are computed from, of tables as `psds` takes them.

    Raises:
        InputError: as `psds`.
    """
    tables = {clip: _table(table) for clip, table in scores.items()}
    classes: list[str] | None = None
    values, edges_s = {}, {}
    for clip, table in tables.items():
        names = _names(table)
        if names[:2] != list(TIMES):
            raise InputError(
                f"clip {clip!r}: got the columns {', '.join(names[:4])}; expected onset, offset "
                "and the classes"
            )
        classes = names[2:] if classes is None else classes
        if names[2:] != classes:
            raise InputError(
                f"clip {clip!r}: got the classes {', '.join(names[2:])}; expected those of the "
                f"other clips, {', '.join(classes)}"
            )
        onset, offset = (np.asarray(table[name], dtype=np.float64) for name in TIMES)
        if not np.allclose(onset[1:], offset[:-1], atol=1e-4):
            raise InputError(
                f"clip {clip!r}: got frames that do not begin where the one before ends; expected "
                "a row for each frame, in order"
            )
        edges_s[clip] = np.append(onset, offset[-1:])
        values[clip] = np.stack([np.asarray(table[name]) for name in classes], axis=1)
    if durations_s is None:
        durations_s = {clip: float(edges[-1]) for clip, edges in edges_s.items()}
    return EvaluationSet(
        scores=values,
        hop_s=edges_s,
        ground_truth={
            clip: [Event(onset_s=float(a), offset_s=float(b), label=c) for a, b, c in events]
            for clip, events in truth.items()
        },
        durations_s=durations_s,
        classes=classes or [],
    )


def _table(table: Any) -> Any:
    return table.to_arrow() if hasattr(table, "to_arrow") else table


def _names(table: Any) -> list[str]:
    """The columns of a table, in their order."""
    if hasattr(table, "column_names"):
        return list(table.column_names)
    return list(table.columns if hasattr(table, "columns") else table)
