"""The labels of many clips as flat arrays: no object for a clip, nor for an event."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from shards.columns import Bools, Ints, bools, numbers, one_piece
from shards.index import IndexRow
from shards.rows import table_of

Floats = npt.NDArray[np.float64]


class Coded:
    """Values that repeat: the n-th is number `codes[n]` of those that differ; -1 is null."""

    def __init__(self, values: pa.Array, codes: Ints) -> None:
        self.values, self.codes = values, codes

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array) -> "Coded":
        """The values of a column, in the order of their first."""
        encoded = one_piece(column).dictionary_encode()
        return cls(encoded.dictionary, numbers(encoded.indices.fill_null(-1)))

    def __len__(self) -> int:
        """How many values differ."""
        return len(self.values)

    @cached_property
    def names(self) -> tuple[Any, ...]:
        """The values that differ, by code."""
        return tuple(self.values.to_pylist())

    def name(self, code: int) -> Any:
        """The value of a code, without the others; None for null."""
        return None if code < 0 else self.values[code].as_py()


@dataclass(frozen=True, kw_only=True)
class LabelColumns:
    """The labels of `clips` clips.

    The n-th weak label is `names[weak[n]]` of clip `weak_clip[n]`; the n-th event lasts from
    `onset_s[n]` to `offset_s[n]` with the label `names[event[n]]` in clip `event_clip[n]`; both
    in the order of the clips, as these list them. `has_weak` and `has_events (clips,)` tell clips
    that are labelled, be it as silent.
    """

    clips: int
    names: tuple[str, ...]
    weak_clip: Ints
    weak: Ints
    event_clip: Ints
    event: Ints
    onset_s: Floats
    offset_s: Floats
    has_weak: Bools
    has_events: Bools

    @classmethod
    def of(cls, rows: Iterable[IndexRow] | pa.Table) -> "LabelColumns":
        """The labels of index rows."""
        table = table_of(rows)
        weak, events = one_piece(table["weak"]), one_piece(table["events"])
        spoken, heard = pc.list_flatten(weak), pc.list_flatten(events)
        both = pa.concat_arrays([spoken, pc.struct_field(heard, "label")])
        labels = Coded.of(both)
        return cls(
            clips=len(table),
            names=labels.names,
            weak_clip=numbers(pc.list_parent_indices(weak)),
            weak=labels.codes[: len(spoken)],
            event_clip=numbers(pc.list_parent_indices(events)),
            event=labels.codes[len(spoken) :],
            onset_s=_floats(pc.struct_field(heard, "onset_s")),
            offset_s=_floats(pc.struct_field(heard, "offset_s")),
            has_weak=bools(weak.is_valid()),
            has_events=bools(events.is_valid()),
        )

    def weak_pairs(self) -> Ints:
        """Each weak label of a clip once, as clip * labels + label; in order."""
        return self._pairs(self.weak_clip, self.weak)

    def strong_pairs(self) -> Ints:
        """Each label of a clip's events once, as clip * labels + label; in order."""
        return self._pairs(self.event_clip, self.event)

    def pairs(self) -> Ints:
        """Each label of a clip once, weak or strong, as clip * labels + label; in order."""
        return np.union1d(self.weak_pairs(), self.strong_pairs())

    def parted(self, pairs: Ints) -> tuple[Ints, Ints]:
        """Clips and labels of pairs."""
        clip, label = np.divmod(pairs, max(1, len(self.names)))
        return clip, label

    def of_clip(self, pairs: Ints, clip: int) -> list[str]:
        """The labels of a clip among pairs."""
        first, stop = np.searchsorted(pairs, [clip * len(self.names), (clip + 1) * len(self.names)])
        return [self.names[label] for label in self.parted(pairs[first:stop])[1]]

    def clip_counts(self) -> dict[str, int]:
        """How many clips have each label, weakly or strongly."""
        _, label = self.parted(self.pairs())
        counts = np.bincount(label, minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))

    def event_counts(self) -> dict[str, int]:
        """How many events have each label."""
        counts = np.bincount(self.event, minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))

    def _pairs(self, clip: Ints, label: Ints) -> Ints:
        return np.unique(clip * len(self.names) + label)


def label_counts(rows: Iterable[IndexRow] | pa.Table) -> dict[str, dict[str, int]]:
    """By label: the clips that have it, weakly or strongly, and its events."""
    labels = LabelColumns.of(rows)
    clips, events = labels.clip_counts(), labels.event_counts()
    return {label: {"clips": clips[label], "events": events[label]} for label in sorted(clips)}


def durations_s(rows: Iterable[IndexRow] | pa.Table) -> Floats:
    """The length of each clip."""
    table = table_of(rows)
    return numbers(table["num_samples"]) / numbers(table["sample_rate_hz"])


def _floats(column: pa.Array) -> Floats:
    return np.asarray(np.from_dlpack(one_piece(column)), np.float64)
