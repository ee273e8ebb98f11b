"""What is common to datasets whose audio lies elsewhere: how they are named and written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.runtime import words
from pipelines.runtime.stage import DONE, Stage, record_of
from pipelines.runtime.tables import SHOWN, output, print_result
from pipelines.runtime.urls import join
from pipelines.stages.settings import NewDataset
from shards.index import IndexRow
from shards.manifest import ShardEntry, write_dataset
from shards.shard_locations import counted


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
        "skipped": [],
        "missing": [],
        "notes": [],
    }


def print_derived(url: str) -> None:
    """What the new dataset holds, what was left out and why, and where it is."""
    result = record_of(url)["result"]
    console = output()
    subsets = ", ".join(f"{clips} {subset}" for subset, clips in result["subsets"].items())
    console.print(
        f"{result['clips']} clips in {result['shards']} shards ({subsets}), "
        f"{result['classes']} classes",
        markup=False,
    )
    for note in result["notes"]:
        console.print(note, markup=False)
    skipped = [f"{name}: {reason}" for name, reason in result["skipped"]]
    for what, entries in (
        ("skipped", skipped),
        ("in the tables, but not in the dataset", result["missing"]),
    ):
        if entries:
            console.print(f"{what}: {len(entries)}", markup=False)
        for entry in entries[:SHOWN]:
            console.print(f"  {entry}", markup=False)
        if len(entries) > SHOWN:
            console.print(f"  ... all of them are in {join(url, DONE)}", markup=False)
    print_result(url)


def in_words(result: Mapping[str, Any]) -> str:
    """What a new dataset holds."""
    return f"indexed {words.counted(result['clips'], 'clip')}"
