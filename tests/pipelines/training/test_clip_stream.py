"""Training reads neighbours in one request, ahead of their use, and any step out of turn."""

from pathlib import Path

import numpy as np
import pytest
from packing import noise_clips, pack

from pipelines.training.clip_stream import ClipStream
from shards.dataset import Dataset, ReadError
from shards.io.store import Store
from shards.loading.block_order import BlockOrder, Blocks
from shards.loading.sampling import Group

CLIPS, PER_BATCH = 24, 4


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    pack(tmp_path / "in", noise_clips(tmp_path / "in", CLIPS), tmp_path / "out")
    return Dataset.open(Store.local(tmp_path / "out"))


def needed(step: int, rank: int, world: int) -> list[int]:
    order = BlockOrder({"a": Group(size=CLIPS, per_batch=PER_BATCH)}, 3, Blocks(clips=4, window=2))
    return order.batch(step, rank, world)["a"].tolist()


def test_steps_hold_what_random_access_gives(dataset: Dataset) -> None:
    stream = ClipStream(dataset, needed)
    visits = [(0, 0, 1), (1, 0, 1), (2, 0, 1), (7, 0, 1), (8, 1, 2), (9, 1, 2), (9, 1, 2)]
    for visit in visits:  # on, a jump, another rank, the same once more
        expected = [dataset.read(dataset.row(index)) for index in needed(*visit)]
        assert [bytes(data) for data in stream.read(*visit)] == expected
    stream.close()


def test_an_epoch_takes_fewer_requests_than_clips(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []
    read_range = dataset.read_range

    def counted(shard: str, offset: int, size: int) -> bytes:
        requests.append(size)
        return read_range(shard, offset, size)

    monkeypatch.setattr(dataset, "read_range", counted)
    stream = ClipStream(dataset, needed)
    keys = [key for step in range(CLIPS // PER_BATCH) for key in needed(step, 0, 1)]
    for step in range(CLIPS // PER_BATCH):
        stream.read(step, 0, 1)
    stream.close()
    assert sorted(keys) == list(range(CLIPS))
    assert sum(requests[:2]) > 2 * np.mean([row.size for row in dataset.rows])


def test_a_damaged_clip_is_an_error_at_its_step(dataset: Dataset) -> None:
    broken = needed(2, 0, 1)[1]
    row = dataset.row(broken)
    store, name = dataset.place(row.shard)
    path = Path(store.path(name))
    data = bytearray(path.read_bytes())
    data[row.offset + row.size // 2] ^= 1
    path.write_bytes(data)
    stream = ClipStream(dataset, needed)
    stream.read(0, 0, 1)
    stream.read(1, 0, 1)
    with pytest.raises(ReadError, match=f"clip {row.key} at offset {row.offset}"):
        stream.read(2, 0, 1)
    assert len(stream.read(0, 0, 1)) == PER_BATCH


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PMAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_local_cache_serves_a_dataset_that_went_away(dataset: Dataset, cache: Path) -> None:
    stream = ClipStream(dataset, needed, cache_gb=0.01)
    first = [bytes(data) for step in range(6) for data in stream.read(step, 0, 1)]
    stream.close()
    for shard in Path(dataset.store.root).rglob("*.tar"):
        shard.unlink()
    again = ClipStream(dataset, needed, cache_gb=0.01)
    assert [bytes(data) for step in range(6) for data in again.read(step, 0, 1)] == first
    again.close()
