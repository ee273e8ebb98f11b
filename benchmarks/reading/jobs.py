"""A Ray Data job that decodes every clip: ours from the index, and WebDataset's reader."""

import io
import time
from typing import Any

import ray
import soundfile as sf

from shards.dataset import Dataset
from shards.io.store import Store

CLIPS_PER_ROW = 250  # the index is opened for each row


def ours(folder: str, clips: int) -> float:
    """Seconds of a job whose rows are ranges of the index; it returns no audio, as a stage."""

    def read(row: dict[str, Any]) -> dict[str, Any]:
        dataset = Dataset.open(Store.local(folder))
        stop = min(row["item"] + CLIPS_PER_ROW, clips)
        rows = map(dataset.row, range(row["item"], stop))
        samples = sum(len(dataset.audio(clip)) for clip in rows)
        return {"clips": stop - row["item"], "samples": samples}

    start = time.perf_counter()
    rows = ray.data.from_items(list(range(0, clips, CLIPS_PER_ROW)), override_num_blocks=8)
    done = rows.map(read).take_all()
    _check(sum(row["clips"] for row in done), clips)
    return time.perf_counter() - start


def webdataset(shards: list[str], codec: str, clips: int) -> float:
    """Seconds of a job over `read_webdataset`."""

    def read(row: dict[str, Any]) -> dict[str, Any]:
        samples, _ = sf.read(io.BytesIO(row[codec]), dtype="float32")
        return {"clips": 1, "samples": len(samples)}

    start = time.perf_counter()
    rows = ray.data.read_webdataset(shards, suffixes=[codec], decoder=None)
    done = rows.map(read).take_all()
    _check(sum(row["clips"] for row in done), clips)
    return time.perf_counter() - start


def start() -> None:
    """A session on two CPUs."""
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False


def _check(got: int, expected: int) -> None:
    if got != expected:
        raise SystemExit(f"got {got} clips, expected {expected}")
