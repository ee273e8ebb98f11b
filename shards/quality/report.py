"""What a dataset holds and what is wrong with it, from its index and its clips' levels."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shards.audio.levels import SCHEMA
from shards.columns import one_piece
from shards.errors import SettingsError
from shards.index import IndexRow
from shards.label_columns import Coded, Floats, LabelColumns, durations_s
from shards.quality.audio_checks import find
from shards.quality.finding import Finding, Needs
from shards.quality.label_statistics import (
    LabelCount,
    Polyphony,
    count_labels,
    event_lengths_s,
    polyphony,
)
from shards.quality.leakage import SimilarClips, duplicates, shared_recordings
from shards.rows import table_of

FORMAT_VERSION = 1
BINS = 40
EQUAL = 1e-3  # values whose span is a smaller part of them are drawn as equal
QUANTILES = {"min": 0.0, "p05": 0.05, "median": 0.5, "p95": 0.95, "max": 1.0}


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """How a measure spreads: quantiles by name, and a histogram of `BINS` bins."""

    count: int
    quantiles: Mapping[str, float]
    edges: tuple[float, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SubsetCount:
    """One subset: its clips, how many of them are labelled, and from how many recordings."""

    subset: str
    clips: int
    hours: float
    strong: int  # clips whose events are known, be there none
    weak: int
    events: int
    recordings: int | None  # None = unknown for some clip


@dataclass(frozen=True, kw_only=True)
class FormatCount:
    """How many clips are stored alike."""

    codec: str
    sample_rate_hz: int
    channels: int
    clips: int
    hours: float


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """Everything that is known; findings come with the most serious first."""

    format_version: int
    name: str
    licence: str
    classes: tuple[str, ...]
    clips: int
    hours: float
    findings: tuple[Finding, ...]
    subsets: tuple[SubsetCount, ...]
    formats: tuple[FormatCount, ...]
    distributions: Mapping[str, Distribution]
    labels: tuple[LabelCount, ...]
    polyphony: tuple[Polyphony, ...]
    duplicates: tuple[SimilarClips, ...]
    shared_recordings: tuple[SimilarClips, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @property
    def serious(self) -> int:
        """How many findings are serious."""
        return sum(finding.severity == "serious" for finding in self.findings)


def inspect(
    rows: Iterable[IndexRow],
    levels: pa.Table,
    *,
    name: str,
    licence: str,
    classes: Sequence[str] | None,
    needs: Needs,
) -> Inspection:
    """Count, compare and judge.

    Args:
        rows: of the index, one or more.
        levels: of each clip, in columns of `shards.audio.levels.SCHEMA`, in any order.
        name: of the dataset.
        licence: of the recordings.
        classes: of the manifest; None where nothing is labelled.
        needs: what the encoder works with.

    Raises:
        ValueError: no rows, or levels that are not those of the rows.
    """
    table = table_of(rows)
    levels = _in_order(table, levels)
    copies = duplicates(table, one_piece(levels["content"]))
    shared = shared_recordings(table)
    clip_s = durations_s(table)
    event_s, sensible = event_lengths_s(LabelColumns.of(table))
    measured = {
        name: _floats(levels[name])
        for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
        if not pa.types.is_string(kind)
    }
    findings = find(table, measured, one_piece(levels["error"]), classes, needs, copies, shared)
    distributions = _distributions({"duration_s": clip_s, **measured, "event_s": event_s[sensible]})
    del measured, levels  # of a million clips 0.2 GB
    return Inspection(
        format_version=FORMAT_VERSION,
        name=name,
        licence=licence,
        classes=tuple(classes or ()),
        clips=len(table),
        hours=math.fsum(clip_s) / 3600,
        findings=tuple(findings),
        subsets=tuple(subset_counts(table)),
        formats=tuple(_formats(table)),
        distributions=distributions,
        labels=tuple(count_labels(table)),
        polyphony=tuple(polyphony(table)),
        duplicates=tuple(copies),
        shared_recordings=tuple(shared),
    )


def _distributions(values: Mapping[str, Floats]) -> dict[str, Distribution]:
    """Of each kind of values that has any but NaN, one after the other."""
    found = {}
    for name, each in values.items():
        known = each[~np.isnan(each)]
        if len(known):
            found[name] = distribution(known)
    return found


def distribution(values: Sequence[float] | Floats) -> Distribution:
    """Quantiles and histogram of finite values `(n,)`, one or more."""
    array = np.asarray(values, np.float64)
    counts, edges = np.histogram(array, bins=BINS, range=_span(array))
    found = np.quantile(array, list(QUANTILES.values())).tolist()
    return Distribution(
        count=len(array),
        quantiles=dict(zip(QUANTILES, found, strict=True)),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
    )


def _span(array: Floats) -> tuple[float, float]:
    """From the least to the greatest value; of values that are all but equal, a bit more."""
    low, high = float(array.min()), float(array.max())
    if high - low > EQUAL * max(abs(low), abs(high)):
        return low, high
    middle = (low + high) / 2
    return (max(0.0, middle - 0.5) if low >= 0 else middle - 0.5), middle + 0.5


def _in_order(table: pa.Table, levels: pa.Table) -> pa.Table:
    """The levels in the order of the index."""
    if len(table) and one_piece(levels["key"]).equals(one_piece(table["key"])):
        return levels
    places = pc.index_in(one_piece(table["key"]), value_set=one_piece(levels["key"]))
    if not len(table) or len(levels) != len(table) or places.null_count:
        raise SettingsError(
            f"inspect: got levels of {len(levels)} clips for {len(table)} index rows; expected one "
            "or more rows and their levels: measure again with --fresh"
        )
    return levels.take(places)


def _floats(column: pa.ChunkedArray) -> Floats:
    """Numbers with NaN for null."""
    values = one_piece(column.cast(pa.float64())).fill_null(float("nan"))
    return np.asarray(np.from_dlpack(values), np.float64)


def subset_counts(rows: Iterable[IndexRow]) -> list[SubsetCount]:
    """Of every subset, by name."""
    table = table_of(rows)
    labels, subsets = LabelColumns.of(table), Coded.of(table["subset"])
    recordings = Coded.of(table["recording"])
    clip_s = durations_s(table)
    events = np.bincount(labels.event_clip, minlength=len(table))
    found = []
    for subset, name in enumerate(subsets.names):
        clips = subsets.codes == subset
        of = np.unique(recordings.codes[clips])
        found.append(
            SubsetCount(
                subset=name,
                clips=int(clips.sum()),
                hours=math.fsum(clip_s[clips]) / 3600,
                strong=int(labels.has_events[clips].sum()),
                weak=int(labels.has_weak[clips].sum()),
                events=int(events[clips].sum()),
                recordings=None if of[0] < 0 else len(of),
            )
        )
    return sorted(found, key=lambda each: each.subset)


def _formats(table: pa.Table) -> Iterator[FormatCount]:
    columns = [Coded.of(table[name]) for name in ("codec", "sample_rate_hz", "channels")]
    kinds = tuple(map(len, columns))
    forms, first, of_clip, counts = np.unique(
        np.ravel_multi_index([column.codes for column in columns], kinds),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    seconds = np.bincount(of_clip, durations_s(table), minlength=len(counts))
    for form in np.lexsort((first, -counts)).tolist():
        codes = np.unravel_index(forms[form], kinds)
        codec, rate_hz, channels = (c.names[n] for c, n in zip(columns, codes, strict=True))
        yield FormatCount(
            codec=codec,
            sample_rate_hz=rate_hz,
            channels=channels,
            clips=int(counts[form]),
            hours=float(seconds[form]) / 3600,
        )
