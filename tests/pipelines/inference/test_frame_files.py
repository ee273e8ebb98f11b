"""Files of frames: bounded, the same for any batches, and not written again by other workers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import packing
import pytest
import tiny_models
import torch

from pipelines.inference.frame_job import FrameFunction, FrameWorker, open_frames
from pipelines.inference.settings import InferenceSettings
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.stage import record_of
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask
from pipelines.runtime.workers.pool import Pool
from pipelines.stages.embed import embed
from pipelines.stages.settings import EmbedSettings
from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import pack_encoder
from shards.dataset import Dataset
from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameSpec
from shards.io.store import Store


@pytest.fixture(scope="module")
def encoder() -> FrameEncoder:
    return tiny_models.backbone().encoder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("frame-files")
    clips = packing.noise_clips(folder / "source", 12)
    return packing.pack(folder / "source", clips, folder / "dataset", target_bytes=10**9)[0]


def wide(encoder: FrameEncoder, most: int = 10**9) -> FrameFunction:
    """Frames of 20 000 values; a GPU that holds `most` clips."""

    def apply(inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encoder.pooled_inputs(inputs).mean(dim=-1, keepdim=True).repeat(1, 1, 20_000)

    spec = FrameSpec(kind="features", width=20_000, dtype="float16", hop_s=encoder.hop_s)
    return FrameFunction(encoder=encoder, apply=apply, spec=spec)


def written(
    dataset: Dataset, out: Path, function: Any, arguments: Any, **settings: Any
) -> tuple[ShardResult, FrameSet]:
    inference = InferenceSettings(**settings)
    worker = FrameWorker(dataset.store.root, str(out), function, arguments, inference)
    part = worker({"output": "frames/a.arrow", "keys": [row.key for row in dataset.rows]})
    return part, FrameSet(Store.local(out), part["outputs"])


def test_a_large_shard_becomes_several_files(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What 768 wide frames of hours of audio would be, in small."""
    monkeypatch.setattr("shards.frames.writer.BATCH_BYTES", 1 << 17)
    arguments = {"encoder": encoder}
    one, whole = written(dataset, tmp_path / "one", wide, arguments)
    several, parts = written(dataset, tmp_path / "several", wide, arguments, file_mb=0.5)
    assert one["outputs"] == ["frames/a.arrow"]
    assert several["outputs"][:2] == ["frames/a.arrow", "frames/a/1.arrow"]
    assert several["clips"] == len(dataset.rows) == len(parts)
    assert several["frames"] == one["frames"]
    clip = max(whole.count(key) for key in whole) * 40_000
    sizes = [(tmp_path / "several" / name).stat().st_size for name in several["outputs"]]
    assert len(sizes) > 2
    assert max(sizes) < 500_000 + (1 << 17) + 2 * clip
    for key in whole:
        np.testing.assert_array_equal(parts.read(key), whole.read(key))


def test_an_encoder_that_runs_out_of_memory_gives_the_same_frames(
    dataset: Dataset, encoder: FrameEncoder, tmp_path: Path
) -> None:
    plain, whole = written(dataset, tmp_path / "plain", wide, {"encoder": encoder}, batch=4)
    arguments = {"encoder": encoder, "most": 1}
    halved, frames = written(dataset, tmp_path / "halved", wide, arguments, batch=4)
    assert (plain["batch"], halved["batch"]) == (4, 1)
    for key in whole:
        np.testing.assert_allclose(frames.read(key), whole.read(key), atol=2e-3)


@pytest.fixture
def without_ray(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    pools = []

    def here(
        _: Any, plans: Mapping[str, ShardTask], make: Any, arguments: Any, *, pool: Pool, **__: Any
    ) -> list[ShardResult]:
        pools.append(pool)
        return [make(**arguments)(plan) for plan in plans.values()]

    monkeypatch.setattr("pipelines.inference.frame_job.run_shards", here)
    return pools


def test_other_workers_do_not_do_it_again(
    dataset: Dataset,
    encoder: FrameEncoder,
    tmp_path: Path,
    without_ray: list[Pool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shards.frames.writer.BATCH_BYTES", 1)
    write_checkpoint(store(str(tmp_path)), "encoder", pack_encoder(encoder))
    url, model = dataset.store.root, str(tmp_path / "encoder")
    settings = EmbedSettings(subsets=("weak",))
    out = embed(url, str(tmp_path / "embed"), settings, model=model)
    keys = {row.key for row in dataset.rows}
    assert set(open_frames(out)) == keys

    others = replace(settings.inference, workers=(1, 9), gpus_per_worker=1.0)
    embed(url, out, replace(settings, inference=others), model=model)
    assert without_ray == [Pool(gpus=0.25)]
    smaller = replace(others, file_mb=0.001)
    embed(url, out, replace(settings, inference=smaller), model=model, fresh=True)
    assert without_ray[1:] == [Pool(gpus=1.0, workers=(1, 9))]
    assert set(open_frames(out)) == keys
    assert len(record_of(out)["result"]["outputs"]) == len(keys)
