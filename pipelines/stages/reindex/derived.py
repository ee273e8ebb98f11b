"""What is common to datasets whose audio lies elsewhere: how they are named and written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.runtime import words
from pipelines.runtime.stage import Stage
from pipelines.stages.reindex.settings import NewDataset
from shards.index import IndexRow
from shards.label_columns import label_counts
from shards.locations import counted
from shards.manifest import ShardEntry, write_dataset
from shards.quality.label_notes import label_notes


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What identifies a reindexed dataset besides its inputs."""

    rule: Any  # a dataclass or plain values
    dataset: NewDataset


def write_derived(
    stage: Stage,
    rows: Sequence[IndexRow],
    shards: Iterable[ShardEntry],
    *,
    name: str,
    licence: str,
    classes: Sequence[str] | None,
) -> dict[str, Any]:
    """Write manifest and index; returns what to record of the stage."""
    manifest = write_dataset(
        stage.store,
        rows,
        name=name,
        licence=licence,
        classes=classes,
        shards=counted(shards, rows),
    )
    return {
        "clips": manifest.totals.clips,
        "hours": round(manifest.totals.seconds / 3600, 4),
        "shards": len(manifest.shards),
        "classes": 0 if manifest.classes is None else len(manifest.classes),
        "subsets": dict(manifest.totals.subsets),
        "labels": label_counts(rows),
        "skipped": [],
        "not_in_dataset": [],
        "notes": list(label_notes(rows)),
    }


def in_words(result: Mapping[str, Any]) -> str:
    """What a new dataset holds."""
    return f"indexed {words.counted(result['clips'], 'clip')}"
