"""A dataset is whole when its manifest is there, and says what is wrong when it is not."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from packing import files, noise_clips, pack

from shards.dataset import Dataset
from shards.io.store import Store
from shards.manifest import MANIFEST, DatasetError, read_manifest, write_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return pack(tmp_path / "in", noise_clips(tmp_path / "in", 5), tmp_path / "out")[0]


def rewrite(dataset: Dataset, **changes: object) -> None:
    """The same dataset written again, with some arguments changed."""
    manifest = dataset.manifest
    arguments = {"name": manifest.name, "licence": manifest.licence, "classes": manifest.classes}
    arguments |= {"rows": dataset.rows, "shards": manifest.shards, **changes}
    rows = arguments.pop("rows")
    write_dataset(dataset.store, rows, **arguments)


def test_totals_and_entries(dataset: Dataset, tmp_path: Path) -> None:
    manifest = dataset.manifest
    assert manifest.totals.clips == 5
    assert manifest.totals.seconds == pytest.approx(0.2 + 0.25 + 0.3 + 0.35 + 0.2)
    assert manifest.totals.subsets == {"weak": 5}
    assert manifest.classes == ("noise",)
    assert sum(shard.clips for shard in manifest.shards) == 5
    index = tmp_path / "out" / manifest.index.name
    assert index.stat().st_size == manifest.index.size
    assert pq.read_table(index).num_rows == 5


def test_the_order_of_rows_does_not_change_a_byte(dataset: Dataset, tmp_path: Path) -> None:
    before = files(tmp_path / "out")
    rewrite(dataset, rows=dataset.rows[::-1], shards=dataset.manifest.shards[::-1])
    assert files(tmp_path / "out") == before


def test_an_older_index_goes_when_the_new_manifest_is_there(
    dataset: Dataset, tmp_path: Path
) -> None:
    rewrite(dataset, rows=[replace(row, fold=3) for row in dataset.rows])
    assert {row.fold for row in Dataset.open(dataset.store).rows} == {3}
    assert len(list((tmp_path / "out/index").iterdir())) == 1


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.json missing under .*; run pmam pack again"):
        Dataset.open(Store.local(tmp_path))


def test_another_format_version(dataset: Dataset) -> None:
    values = json.loads(dataset.store.read(MANIFEST))
    dataset.store.write(MANIFEST, json.dumps({**values, "format_version": 99}).encode())
    with pytest.raises(DatasetError, match=r"version 99, expected 2; pack"):
        read_manifest(dataset.store)


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"format_version": 2}', b'{"a": \xff'])
def test_a_damaged_manifest(dataset: Dataset, damage: bytes) -> None:
    dataset.store.write(MANIFEST, damage)
    with pytest.raises(DatasetError, match=r"dataset\.json: .*run pmam pack again"):
        read_manifest(dataset.store)


def test_a_changed_index_file(dataset: Dataset, tmp_path: Path) -> None:
    index = tmp_path / "out" / dataset.manifest.index.name
    index.write_bytes(index.read_bytes()[:-1] + b"x")
    with pytest.raises(DatasetError, match="the manifest says"):
        Dataset.open(dataset.store)


def test_doubled_ids_are_refused(dataset: Dataset) -> None:
    row = dataset.rows[0]
    with pytest.raises(
        DatasetError, match=f"1 doubled source_id values, the first '{row.source_id}"
    ):
        rewrite(dataset, rows=[*dataset.rows, replace(row, key="other")])
    with pytest.raises(DatasetError, match=f"doubled key values, the first '{row.key}' 2 times"):
        rewrite(dataset, rows=[*dataset.rows, replace(row, source_id="other")])


def test_rows_and_shards_must_agree(dataset: Dataset) -> None:
    with pytest.raises(DatasetError, match="index rows, expected"):
        rewrite(dataset, rows=dataset.rows[1:])
    with pytest.raises(DatasetError, match="index rows, expected"):
        rewrite(dataset, shards=[*dataset.manifest.shards, dataset.manifest.shards[0]])
