"""What an index of a million clips costs to look at, to select from and to change.

    python benchmarks/million_clips.py [--clips 1000000] [--folder FOLDER]

The index is made up: ids of 24 characters, a tenth of the clips with events, a tenth with weak
labels, 250 shards; no audio. Each line is a process of its own, with its seconds (of the clock
and of the processor) and the most memory that it held, imports and all. `inspect` compares and
judges with made-up levels: measuring them, which decodes the audio, is left out.

Result of 2026-11-29 on a machine with much other work, seconds of the processor and most memory:
select 0.6 s, 375 MB; inspect 3.5 to 4.9 s, 592 MB (made-up levels are 150 of them); reindex by a
filter that leaves 900 000 clips 12.7 s, 519 MB; reindex by a mapping of labels 5.1 s, 570 MB.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from shards.audio.levels import SCHEMA as LEVELS
from shards.dataset import Dataset
from shards.index import SCHEMA
from shards.manifest import ShardEntry, write_dataset
from shards.quality.finding import Needs
from shards.quality.report import inspect
from shards.rows import Rows

SHARDS, PER_RECORDING = 250, 20
SUBSETS = ("strong", "weak", "unlabeled")
CLASSES = ("cat", "dog", "rain", "speech", "wind")


def made_up(clips: int) -> pa.Table:
    """An index without audio."""
    numbers = np.arange(clips)
    ids = pa.array([f"recordings/{n:09d}.wav" for n in range(clips)])
    kind = numbers // PER_RECORDING % 10
    kind[::1000] = 0  # some recordings with clips in several subsets
    subset = np.select([kind == 0, kind == 1], [0, 1], 2)
    labels = pa.array(CLASSES).take(pa.array(numbers % len(CLASSES)))
    per_clip = {"weak": (kind == 1).astype(int), "events": np.where(kind == 0, 3, 0)}
    clip = np.repeat(numbers, per_clip["events"])
    onset_s = (np.arange(len(clip)) % 3) * 2.5
    values = [onset_s, onset_s + 1.5, pa.array(CLASSES).take(pa.array(clip % len(CLASSES)))]
    fields = list(SCHEMA.field("events").type.value_type)
    flat = {
        "weak": labels.filter(pa.array(kind == 1)),
        "events": pa.StructArray.from_arrays([pa.array(v) for v in values], fields=fields),
    }
    lists = {
        name: pa.ListArray.from_arrays(
            pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32()),
            flat[name],
            type=SCHEMA.field(name).type,
            mask=pa.array(counts == 0),
        )
        for name, counts in per_clip.items()
    }
    columns = {
        "key": [f"recordings=2f{n:09d}=2ewav" for n in range(clips)],
        "source_id": ids,
        "shard": [f"shards/{n * SHARDS // clips:05d}.tar" for n in range(clips)],
        "offset": numbers * 320_512,
        "size": np.full(clips, 320_044),
        "codec": ["wav"] * clips,
        "sample_rate_hz": np.full(clips, 16_000),
        "num_samples": np.full(clips, 160_000),
        "channels": np.full(clips, 1),
        "checksum": [f"{n * 2654435761:064x}" for n in range(clips)],
        "crc32": numbers,
        "subset": pa.array(SUBSETS).take(pa.array(subset)),
        "recording": pa.array([f"site {n // PER_RECORDING}" for n in range(clips)]),
        "fold": pa.nulls(clips, pa.int32()),
        "meta": ['{"site": 1}'] * clips,
        **lists,
    }
    return pa.table({name: columns[name] for name in SCHEMA.names}).cast(SCHEMA)


def write(folder: Path, clips: int) -> None:
    """The dataset, without its tars."""
    from shards.io.store import Store

    table = made_up(clips)
    counts = {each["values"]: each["counts"] for each in table["shard"].value_counts().to_pylist()}
    write_dataset(
        Store.local(folder),
        Rows(table),
        name="made up",
        licence="none",
        classes=CLASSES,
        shards=[ShardEntry(name=n, size=1, sha256="0", clips=c) for n, c in counts.items()],
    )


def look(folder: Path) -> str:
    """`pmam inspect`, less measuring."""
    dataset = Dataset.open(folder)
    clips = len(dataset.rows)
    columns = {
        name: pa.nulls(clips, kind)
        if pa.types.is_string(kind)
        else pa.array(np.full(clips, 0.5)).cast(kind, safe=False)
        for name, kind in zip(LEVELS.names, LEVELS.types, strict=True)
    }
    columns |= {"key": dataset.table["key"], "content": dataset.table["checksum"]}
    levels = pa.table(columns, schema=LEVELS)
    found = inspect(
        dataset.rows,
        levels,
        name="made up",
        licence="none",
        classes=CLASSES,
        needs=Needs(encoder="mn04", sample_rate_hz=32_000, hop_s=0.08),
    )
    return f"{found.clips} clips, {len(found.findings)} findings"


def select(folder: Path) -> str:
    """`Dataset.select()` of all, and a row of it."""
    rows = Dataset.open(folder).select()
    return f"{len(rows)} rows, the last {rows[-1].source_id}"


def loop(folder: Path) -> str:
    """`for row in Dataset.select()`, which builds each row."""
    return f"{sum(row.num_samples for row in Dataset.open(folder).select())} samples"


def reindex(folder: Path) -> str:
    """`pmam reindex filter --where`."""
    from pipelines.stages.reindex.edit import reindex_filter
    from pipelines.stages.reindex.settings import NewDataset

    with tempfile.TemporaryDirectory() as out:
        where = 'subset != "weak" and duration_s > 5 and meta.site == 1'
        reindex_filter(str(folder), f"{out}/new", NewDataset(), where=where)
        return f"{len(Dataset.open(f'{out}/new').rows)} clips left"


def relabel(folder: Path) -> str:
    """`pmam reindex labels --mapping`."""
    from pipelines.stages.reindex.edit import reindex_labels
    from pipelines.stages.reindex.settings import NewDataset
    from shards.editing.settings import RelabelSettings

    with tempfile.TemporaryDirectory() as out:
        table = Path(out) / "mapping.tsv"
        table.write_text("old\tnew\n" + "".join(f"{name}\tsound\n" for name in CLASSES))
        reindex_labels(
            str(folder), f"{out}/new", RelabelSettings(), NewDataset(), mapping=str(table)
        )
        return f"classes {Dataset.open(f'{out}/new').manifest.classes}"


def merge(folder: Path) -> str:
    """`pmam reindex merge` with itself, by prefixes: twice as many clips."""
    from pipelines.stages.reindex.edit import reindex_merge
    from pipelines.stages.reindex.settings import NewDataset

    with tempfile.TemporaryDirectory() as out:
        urls = [str(folder)] * 2
        reindex_merge(urls, f"{out}/new", NewDataset(), prefixes=("a/", "b/"))
        return f"{len(Dataset.open(f'{out}/new').rows)} clips"


def most_held() -> int:
    """The most bytes that this process held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024


TASKS: dict[str, Callable[[Path], str]] = {
    "select": select,
    "inspect": look,
    "reindex": reindex,
    "relabel": relabel,
    "loop": loop,
    "merge": merge,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        clock, processor = time.perf_counter(), time.process_time()
        told = TASKS[options.task](options.folder)
        seconds = time.perf_counter() - clock, time.process_time() - processor
        peak = most_held() / 1e6
        what = f"{options.task:8} {seconds[0]:6.1f} s, {seconds[1]:6.1f} s of the processor"
        print(f"{what}, {peak:5.0f} MB at most: {told}", flush=True)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "dataset.json").exists():
            write(folder, options.clips)
        for task in options.tasks:
            command = [sys.executable, __file__, "--task", task, "--folder", str(folder)]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
