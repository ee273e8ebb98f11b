"""What a dataset holds and what is wrong with it, from its index and its clips' levels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.audio.levels import SCHEMA
from shards.errors import SettingsError
from shards.index import IndexRow
from shards.quality.audio_checks import find
from shards.quality.finding import Finding, Needs
from shards.quality.label_statistics import (
    LabelCount,
    Polyphony,
    count_labels,
    lengths_s,
    polyphony,
)
from shards.quality.leakage import SimilarClips, duplicates, shared_recordings

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
    rows: Sequence[IndexRow],
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
    measured = _in_order(rows, levels)
    copies = duplicates(rows, measured["content"])
    shared = shared_recordings(rows)
    hours = sum(row.duration_s for row in rows) / 3600
    known = {key: values for key, values in measured.items() if values.dtype == np.float64}
    spread = {
        "duration_s": [row.duration_s for row in rows],
        **{key: values[~np.isnan(values)] for key, values in known.items()},
        "event_s": lengths_s(event for row in rows for event in row.events or ()),
    }
    return Inspection(
        format_version=FORMAT_VERSION,
        name=name,
        licence=licence,
        classes=tuple(classes or ()),
        clips=len(rows),
        hours=hours,
        findings=tuple(find(rows, measured, classes, needs, copies, shared)),
        subsets=tuple(_subsets(rows)),
        formats=tuple(_formats(rows)),
        distributions={key: distribution(values) for key, values in spread.items() if len(values)},
        labels=tuple(count_labels(rows)),
        polyphony=tuple(polyphony(rows)),
        duplicates=tuple(copies),
        shared_recordings=tuple(shared),
    )


def distribution(values: Sequence[float] | npt.NDArray[np.float64]) -> Distribution:
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


def _span(array: npt.NDArray[np.float64]) -> tuple[float, float]:
    """From the least to the greatest value; of values that are all but equal, a bit more."""
    low, high = float(array.min()), float(array.max())
    if high - low > EQUAL * max(abs(low), abs(high)):
        return low, high
    middle = (low + high) / 2
    return (max(0.0, middle - 0.5) if low >= 0 else middle - 0.5), middle + 0.5


def _in_order(rows: Sequence[IndexRow], levels: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """The columns of the levels in the order of the rows: numbers with NaN for null, or objects."""
    place = {key: number for number, key in enumerate(levels.column("key").to_pylist())}
    if not rows or place.keys() != {row.key for row in rows}:
        raise SettingsError(
            f"inspect: got levels of {len(place)} clips for {len(rows)} index rows; expected one "
            "or more rows and their levels: measure again with --fresh"
        )
    table = levels.take(pa.array([place[row.key] for row in rows]))
    return {
        name: np.array(
            table.column(name).to_pylist(), dtype=object if pa.types.is_string(kind) else np.float64
        )
        for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    }


def _subsets(rows: Iterable[IndexRow]) -> Iterable[SubsetCount]:
    by_subset: dict[str, list[IndexRow]] = defaultdict(list)
    for row in rows:
        by_subset[row.subset].append(row)
    for subset, clips in sorted(by_subset.items()):
        recordings = {row.recording for row in clips}
        yield SubsetCount(
            subset=subset,
            clips=len(clips),
            hours=sum(row.duration_s for row in clips) / 3600,
            strong=sum(row.events is not None for row in clips),
            weak=sum(row.weak is not None for row in clips),
            events=sum(len(row.events or ()) for row in clips),
            recordings=None if None in recordings else len(recordings),
        )


def _formats(rows: Iterable[IndexRow]) -> Iterable[FormatCount]:
    clips: Counter[tuple[str, int, int]] = Counter()
    seconds: dict[tuple[str, int, int], float] = defaultdict(float)
    for row in rows:
        form = (row.codec, row.sample_rate_hz, row.channels)
        clips[form] += 1
        seconds[form] += row.duration_s
    for form, count in clips.most_common():
        codec, rate_hz, channels = form
        yield FormatCount(
            codec=codec,
            sample_rate_hz=rate_hz,
            channels=channels,
            clips=count,
            hours=seconds[form] / 3600,
        )
