"""Which labels the frames of clips have, and the rows of the index that say so."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.inference.events import events_of
from pipelines.runtime.errors import PipelineError
from pmam.events.event import uniform_edges_s
from pmam.events.targets import encode_at
from pmam.metrics.clustering import Labels
from shards.dataset import Dataset
from shards.frames.reader import FrameSpec
from shards.index import IndexRow, table_to_rows

Ints = npt.NDArray[np.int64]


def label_sets(row: IndexRow, spec: FrameSpec, frames: int) -> tuple[list[Labels], Ints]:
    """The sets of classes that sound in a clip, and which of them each frame of the grid has.

    Where a clip has no events but tags, all of its frames have these; without any label there
    are no sets. `frames` is what the grid must have at least.
    """
    frames = max(frames, int(np.ceil(row.duration_s / spec.hop_s)))
    if row.events is None:
        kinds = [] if row.weak is None else [tuple(sorted(set(row.weak)))]
        return kinds, np.zeros(frames, np.int64)
    names = sorted({event.label for event in row.events})
    edges_s = uniform_edges_s(frames, spec.hop_s, spec.first_frame_s)
    events = events_of(  # but those without length or behind the clip: `pmam inspect` tells of them
        e for e in row.events if e.offset_s > e.onset_s and e.onset_s < edges_s[-1]
    )
    active = encode_at(events, names, edges_s) > 0  # (frames, classes of the clip)
    kinds_found, of_grid = np.unique(active, axis=0, return_inverse=True)
    kinds = [tuple(n for n, on in zip(names, kind, strict=True) if on) for kind in kinds_found]
    return kinds, of_grid.reshape(-1)


def rows_of(dataset: Dataset, keys: Collection[str]) -> list[IndexRow]:
    """The index rows of some clips, without building those of others.

    Raises:
        PipelineError: a clip is not in the dataset.
    """
    held = pc.is_in(dataset.table["key"], value_set=pa.array(list(keys), pa.string()))
    rows = table_to_rows(dataset.table.filter(held))
    if missing := set(keys) - {row.key for row in rows}:
        raise PipelineError(
            f"{dataset.store.root}: has no clip {min(missing)}, of which there are posteriors; "
            "give the dataset that was labelled, or one over the same audio"
        )
    return rows
