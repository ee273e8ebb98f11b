"""inspect: the levels of every clip of a dataset, damaged ones included."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cluster.storage.filesystems import absolute
from pipelines.runtime.errors import USER_ERRORS
from pipelines.runtime.parallel_map import Part, Plan, run_parts
from pipelines.runtime.stage import DONE, Stage, record_of, run_stage
from pipelines.runtime.urls import dataset_fingerprint, open_dataset, store
from shards.audio.levels import BLOCK_S, SCHEMA, measure
from shards.index import IndexRow
from shards.io.store import Store

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

LEVELS = "levels"


@dataclass(frozen=True)
class _NoSettings:
    """Levels are facts of the audio: nothing can be chosen."""


class _Inspector:
    """Measures the clips of one shard."""

    def __init__(self, dataset: str, out: str) -> None:
        self.dataset, self.out = open_dataset(dataset), store(out)

    def __call__(self, plan: Plan) -> Part:
        measured = [self._levels(row) for row in self.dataset.rows_of(plan["keys"])]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "levels.parquet"
            pq.write_table(pa.Table.from_pylist(measured, schema=SCHEMA), path)
            name = self.out.publish(plan["output"], path)
        damaged = sum(levels["error"] is not None for levels in measured)
        return {"outputs": [name], "clips": len(measured), "damaged": damaged}

    def _levels(self, row: IndexRow) -> dict[str, Any]:
        try:
            blocks = self.dataset.audio_blocks(row, row.sample_rate_hz, BLOCK_S)
            return {"key": row.key, "error": None, **asdict(measure(blocks, row.sample_rate_hz))}
        except USER_ERRORS as error:
            return {"key": row.key, "error": " ".join(str(error).split())}


def measure_levels(dataset_url: str, out: str, *, fresh: bool = False) -> pa.Table:
    """The levels of each clip, in columns of `shards.audio.levels.SCHEMA`.

    A clip that cannot be read has an error instead. It may have been restored since: shards with
    such clips are measured again.

    Args:
        dataset_url: the dataset.
        out: the folder of the stage.
        fresh: start over.
    """
    dataset_url, out = absolute(dataset_url), absolute(out)

    def work(stage: Stage) -> dict[str, Any]:
        by_shard: dict[str, list[str]] = {}
        table = open_dataset(dataset_url).table
        for shard, key in zip(table["shard"].to_pylist(), table["key"].to_pylist(), strict=True):
            by_shard.setdefault(shard, []).append(key)
        plans = {
            f"{number:05d}-{PurePosixPath(shard).stem}": keys
            for number, (shard, keys) in enumerate(sorted(by_shard.items()))
        }
        parts = run_parts(
            stage,
            {n: {"output": f"{LEVELS}/{n}.parquet", "keys": keys} for n, keys in plans.items()},
            _Inspector,
            {"dataset": dataset_url, "out": out},
            weights={name: len(keys) for name, keys in plans.items()},
            again=lambda part: part["damaged"] > 0,
        )
        return {
            "clips": sum(part["clips"] for part in parts),
            "damaged": sum(part["damaged"] for part in parts),
            "outputs": [name for part in parts for name in part["outputs"]],
        }

    folder = store(out)
    damaged = folder.size(DONE) is not None and record_of(out)["result"]["damaged"] > 0
    inputs = {"dataset": dataset_fingerprint(dataset_url)}
    record = run_stage(
        "inspect",
        out,
        work,
        settings=_NoSettings(),
        inputs=inputs,
        version=ALGORITHM_VERSION,
        fresh=fresh,
        reopen=damaged,
    )
    return pa.concat_tables([_read(folder, name) for name in record["result"]["outputs"]])


def _read(folder: Store, name: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(folder.read(name)), schema=SCHEMA)
