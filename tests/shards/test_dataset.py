"""Reading by byte range: the right bytes, tries again, and says where it failed."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from packing import noise_clips, pack
from s3_server import s3_server

from shards.dataset import ATTEMPTS, Dataset, ReadError
from shards.errors import StoreError
from shards.io.store import Store
from shards.manifest import DatasetError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return pack(tmp_path / "in", noise_clips(tmp_path / "in", 5), tmp_path / "out")[0]


class Faulty(Dataset):
    """A dataset whose next reads give up (`broken`) or bring a wrong byte (`wrong`)."""

    broken = wrong = 0

    def read_range(self, shard: str, offset: int, size: int) -> bytes:
        if self.broken:
            raise OSError("connection\nreset")
        data = super().read_range(shard, offset, size)
        if self.wrong:
            self.wrong -= 1
            data = bytes([data[0] ^ 1]) + data[1:]
        return data


def faulty(dataset: Dataset, *, broken: int = 0, wrong: int = 0) -> Dataset:
    opened = Faulty(dataset.store, dataset.manifest, dataset.table)
    opened.broken, opened.wrong = broken, wrong
    return opened


def test_samples_are_those_of_the_source(dataset: Dataset, tmp_path: Path) -> None:
    for row in dataset.rows:
        original, _ = sf.read(tmp_path / "in" / row.source_id, dtype="float32")
        samples = dataset.audio(row)
        assert samples.dtype == np.float32
        assert np.array_equal(samples, original)
        assert len(dataset.audio(row, sample_rate_hz=4000)) == row.num_samples // 2
        assert row.duration_s == pytest.approx(len(original) / 8000)


def test_a_folder_or_a_url_is_enough_to_open_it(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.chdir(tmp_path)
    for place in (out, str(out), "out", f"file://{out}"):
        opened = Dataset.open(place)
        assert opened.rows == dataset.rows
        assert np.array_equal(opened.audio(opened.rows[0]), dataset.audio(dataset.rows[0]))
    with pytest.raises(DatasetError):
        Dataset.open(tmp_path / "in")
    with pytest.raises(StoreError, match=r"ftp://host/out: no folder that can be opened") as caught:
        Dataset.open("ftp://me:secret@host/out?x=1")
    assert "secret" not in str(caught.value)


def test_select(dataset: Dataset) -> None:
    assert dataset.select() == dataset.rows == dataset.select(["weak", "strong"])
    assert dataset.select(["strong"]) == []


def test_rows_by_key_come_in_the_order_of_the_keys(dataset: Dataset) -> None:
    wanted = [dataset.rows[n] for n in (3, 0, 3)]
    opened = Dataset.open(dataset.store)
    assert opened.rows_of([row.key for row in wanted]) == wanted
    assert opened.rows_of([]) == []
    assert opened.rows_at(np.array([3, 0, 3])) == wanted
    weak = [row for row in dataset.rows if row.subset == "weak"]
    for entry, row in zip(opened.listed(["weak"]), weak, strict=True):
        assert all(getattr(row, name) == value for name, value in entry._asdict().items())
    assert opened.select(["weak"]) == weak
    assert "rows" not in vars(opened)  # not built: a million of them take gigabytes
    with pytest.raises(KeyError, match="no clip 'nobody' in its index"):
        opened.rows_of([dataset.rows[0].key, "nobody"])


def test_a_byte_that_changed_on_the_way_is_read_again(dataset: Dataset) -> None:
    row = dataset.rows[0]
    assert faulty(dataset, wrong=ATTEMPTS - 1).read(row) == dataset.read(row)
    with pytest.raises(ReadError, match="do not match the checksum"):
        faulty(dataset, wrong=ATTEMPTS).read(row)


def test_a_lasting_fault_names_shard_key_and_offset(dataset: Dataset) -> None:
    row = dataset.rows[1]
    with pytest.raises(ReadError) as caught:
        faulty(dataset, broken=1).read(row)
    message = str(caught.value)
    assert f"{row.shard}: clip {row.key} at offset {row.offset}: connection reset" in message
    assert "\n" not in message


def test_a_flipped_bit_is_found(dataset: Dataset, tmp_path: Path) -> None:
    row = dataset.rows[0]
    shard = tmp_path / "out" / row.shard
    data = bytearray(shard.read_bytes())
    data[row.offset + row.size // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(ReadError, match="do not match the checksum"):
        dataset.read(row)
    assert len(dataset.read(row, verify=False)) == row.size


def test_a_truncated_or_missing_shard(dataset: Dataset, tmp_path: Path) -> None:
    row = dataset.rows[0]
    shard = tmp_path / "out" / row.shard
    shard.write_bytes(shard.read_bytes()[: row.offset + 10])
    with pytest.raises(ReadError, match="truncated"):
        dataset.read(row)
    shard.unlink()
    with pytest.raises(ReadError, match=f"{row.key} at offset {row.offset}"):
        dataset.audio(row)


def test_a_dataset_at_a_url_opens_by_its_name(dataset: Dataset, tmp_path: Path) -> None:
    with s3_server(tmp_path / "served") as server:
        url = server.url("dataset")
        there = Store.at(url)
        for name in dataset.store.names():
            there.write(name, dataset.store.read(name))
        opened = Dataset.open(url)
        assert opened.manifest == dataset.manifest
        assert [opened.read(row) for row in opened.rows] == [
            dataset.read(row) for row in dataset.rows
        ]
