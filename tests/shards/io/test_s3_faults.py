"""An S3 endpoint that fails: no clip is lost or doubled, or the error says which one."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from fault_proxy import Fault, Faults, fault_proxy
from packing import noise_clips, pack
from s3_server import s3_server

import shards.io.range_reader
import shards.io.store
from cluster.storage.filesystems import filesystem
from shards.dataset import Dataset, ReadError
from shards.io.store import Store
from shards.loading.loader import Loader, Loading
from shards.loading.prefetch import FileReader, Reading

FAULTS: list[Fault] = ["reset", "stall", "truncate", "503", "wrong range"]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faults]:
    folder = tmp_path_factory.mktemp("faults")
    local, _ = pack(folder / "in", noise_clips(folder / "in", 24), folder / "out")
    with s3_server(folder) as server, fault_proxy(server.endpoint) as proxy:
        store = Store(*filesystem(server.url("ds")))
        for name in local.store.names():
            store.write(name, local.store.read(name))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
            yield proxy


@pytest.fixture
def dataset(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dataset]:
    monkeypatch.setattr("shards.io.retry.waits", lambda: iter((0.01, 0.02, 0.05)))
    monkeypatch.setattr(shards.io.range_reader, "PART_BYTES", 6000)  # several parts a request
    yield Dataset.open(Store(*filesystem("s3://bucket/ds")))
    faults.waiting, faults.always, faults.happened = [], None, 0


def contents(dataset: Dataset) -> Counter[tuple[str, str]]:
    """Keys and checksums of all that the reader gives for the whole index."""
    reader = FileReader(dataset, Reading(budget_bytes=40_000, threads=2))
    found: Counter[tuple[str, str]] = Counter()
    for index, data in reader.read(range(dataset.table.num_rows)):
        if isinstance(data, ReadError):
            raise data
        found[dataset.row(index).key, hashlib.sha256(data).hexdigest()] += 1
    return found


def expected(dataset: Dataset) -> Counter[tuple[str, str]]:
    return Counter((row.key, row.checksum) for row in dataset.rows)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_that_pass_are_survived(dataset: Dataset, faults: Faults, fault: Fault) -> None:
    faults.waiting = [fault] if fault == "stall" else [fault] * 3
    start = time.monotonic()
    assert contents(dataset) == expected(dataset)
    assert faults.waiting == []
    assert faults.happened >= 1
    assert time.monotonic() - start < 60


def test_all_faults_in_one_epoch_of_the_loader(dataset: Dataset, faults: Faults) -> None:
    faults.waiting = ["reset", "503", "wrong range", "truncate", "reset", "wrong range"]
    loader = Loader(dataset, Loading(per_batch={"weak": 6}))
    keys = [e.row.key for batch in loader.batches(4) for e in batch.groups["weak"]]
    assert Counter(keys) == Counter(row.key for row in dataset.rows)
    assert faults.waiting == []


@pytest.mark.parametrize("fault", ["reset", "truncate", "503", "wrong range"])
def test_a_fault_that_stays_names_shard_key_and_offset(
    dataset: Dataset, faults: Faults, fault: Fault
) -> None:
    faults.always = fault
    row = dataset.rows[3]
    with pytest.raises(ReadError) as caught:
        dataset.read(row)
    assert f"{row.shard}: clip {row.key} at offset {row.offset}" in str(caught.value)
    assert "\n" not in str(caught.value)
    faults.always = None
    assert hashlib.sha256(dataset.read(row)).hexdigest() == row.checksum


def test_a_broken_read_goes_on_where_it_broke(dataset: Dataset, faults: Faults) -> None:
    size = dataset.manifest.shards[0].size
    before = faults.downloads
    whole = dataset.read_range(dataset.manifest.shards[0].name, 0, size)
    parts = faults.downloads - before
    assert parts == -(-size // 6000) > 2
    faults.waiting = ["503"]
    before = faults.downloads
    again = dataset.read_range(dataset.manifest.shards[0].name, 0, size)
    assert again == whole
    assert faults.downloads - before == parts + 1
