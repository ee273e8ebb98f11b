"""Other names for the labels of an index, and several or none for one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from shards.columns import Bools, Ints
from shards.index import SCHEMA
from shards.label_columns import LabelColumns
from shards.rows import Rows

Order = npt.NDArray[Any]


def mapped(rows: Rows, news: Callable[[str], Sequence[str]]) -> Rows:
    """Rows with each label as the new ones that `news` gives for it, each once in a clip.

    Events keep their times, in the order of these; the same event is there once.
    """
    labels = LabelColumns.of(rows)
    of_label = [list(news(name)) for name in labels.names]
    new_names = sorted({new for each in of_label for new in each})
    code = {name: number for number, name in enumerate(new_names)}
    counts = np.array([len(each) for each in of_label], np.int64)
    flat = np.array([code[new] for each in of_label for new in each], np.int64)

    def expanded(old: Ints) -> tuple[Ints, Ints]:
        """Which of the old ones each new one comes of, and its code."""
        of = np.repeat(np.arange(len(old)), counts[old])
        first = np.cumsum(counts[old]) - counts[old]
        return of, flat[(np.cumsum(counts) - counts)[old][of] + np.arange(len(of)) - first[of]]

    of, weak = expanded(labels.weak)
    clip = labels.weak_clip[of]
    order = np.sort(np.unique(clip * max(1, len(new_names)) + weak, return_index=True)[1])
    names = pa.array(new_names, pa.string())
    spoken = _lists("weak", clip[order], labels.has_weak, names.take(pa.array(weak[order])))
    of, event = expanded(labels.event)
    clip, onset_s, offset_s = labels.event_clip[of], labels.onset_s[of], labels.offset_s[of]
    # names are sorted: their codes are in the order of the labels
    order = np.lexsort((event, offset_s, onset_s, clip))
    columns = [each[order] for each in (clip, onset_s, offset_s, event)]
    differs = np.ones(len(order), np.bool_)
    differs[1:] = np.any([each[1:] != each[:-1] for each in columns], axis=0)
    clip, onset_s, offset_s, event = (each[differs] for each in columns)
    fields = list(SCHEMA.field("events").type.value_type)
    values = [pa.array(onset_s), pa.array(offset_s), names.take(pa.array(event))]
    heard = _lists(
        "events", clip, labels.has_events, pa.StructArray.from_arrays(values, fields=fields)
    )
    return rows.with_columns(weak=spoken, events=heard)


def _lists(column: str, clip: Ints, has: Bools, values: pa.Array) -> pa.Array:
    """Values of clips, which rise, as one list a clip; null where it has none."""
    stops = np.cumsum(np.bincount(clip, minlength=len(has)))
    offsets = pa.array(np.concatenate([[0], stops]), pa.int32())
    kind = SCHEMA.field(column).type
    return pa.ListArray.from_arrays(offsets, values, type=kind, mask=pa.array(~has))
