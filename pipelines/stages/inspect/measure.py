"""inspect: the levels of every clip of a dataset, damaged ones included."""

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.runtime.declared import DatasetUrl, NoSettings, Work, stage_function
from pipelines.runtime.errors import USER_ERRORS
from pipelines.runtime.files.urls import open_dataset, store
from pipelines.runtime.stage import DONE, Stage, record_of
from pipelines.runtime.words import counted, thousands
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from shards.audio.levels import BLOCK_S, SCHEMA, measure
from shards.index import IndexRow
from shards.io.store import Store

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

LEVELS = "levels"


class _Inspector:
    """Measures the clips of one shard."""

    def __init__(self, dataset: str, out: str) -> None:
        self.dataset, self.out = open_dataset(dataset), store(out)

    def __call__(self, task: ShardTask) -> ShardResult:
        measured = [self._levels(row) for row in self.dataset.rows_of(task["keys"])]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "levels.parquet"
            pq.write_table(pa.Table.from_pylist(measured, schema=SCHEMA), path)
            name = self.out.publish(task["output"], path)
        damaged = sum(levels["error"] is not None for levels in measured)
        return {"outputs": [name], "clips": len(measured), "damaged": damaged}

    def _levels(self, row: IndexRow) -> dict[str, Any]:
        try:
            blocks = self.dataset.audio_blocks(row, row.sample_rate_hz, BLOCK_S)
            return {"key": row.key, "error": None, **asdict(measure(blocks, row.sample_rate_hz))}
        except USER_ERRORS as error:
            return {"key": row.key, "error": " ".join(str(error).split())}


@stage_function(ALGORITHM_VERSION)
def measure_levels(
    dataset: DatasetUrl, out: str, *, name: str = "inspect", fresh: bool = False
) -> Work:
    """Measure the levels of each clip; returns the URL of what `levels_of` reads.

    A clip that cannot be read has an error instead. It may have been restored since: shards with
    such clips are measured again.

    Args:
        dataset: the dataset.
        out: the folder of the stage.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        by_shard: dict[str, list[str]] = {}
        table = open_dataset(dataset).table
        for shard, key in zip(table["shard"].to_pylist(), table["key"].to_pylist(), strict=True):
            by_shard.setdefault(shard, []).append(key)
        tasks = {
            f"{number:05d}-{PurePosixPath(shard).stem}": keys
            for number, (shard, keys) in enumerate(sorted(by_shard.items()))
        }
        results = run_shards(
            stage,
            {n: {"output": f"{LEVELS}/{n}.parquet", "keys": keys} for n, keys in tasks.items()},
            _Inspector,
            {"dataset": dataset, "out": out},
            weights={name: len(keys) for name, keys in tasks.items()},
            again=lambda result: result["damaged"] > 0,
        )
        return {
            "clips": sum(result["clips"] for result in results),
            "damaged": sum(result["damaged"] for result in results),
            "outputs": [name for result in results for name in result["outputs"]],
        }

    # Levels are facts of the audio: nothing can be chosen.
    damaged = store(out).size(DONE) is not None and record_of(out)["result"]["damaged"] > 0
    return Work(do=work, settings=NoSettings(), reopen=damaged, summary=_summary)


def levels_of(url: str) -> pa.Table:
    """What was measured, in columns of `shards.audio.levels.SCHEMA`."""
    outputs = record_of(url)["result"]["outputs"]
    return pa.concat_tables([_read(store(url), name) for name in outputs])


def _read(folder: Store, name: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(folder.read(name)), schema=SCHEMA)


def _summary(result: Mapping[str, Any]) -> str:
    damaged = f" ({thousands(result['damaged'])} damaged)" if result["damaged"] else ""
    return f"measured {counted(result['clips'], 'clip')}{damaged}"
