"""What can be rebuilt is rebuilt as it was; what is lost is told, and never dropped unasked."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from packing import files, noise_clips, pack

from shards.dataset import Dataset
from shards.io.store import Store
from shards.locations import counted, refer
from shards.manifest import MANIFEST, DatasetError, write_dataset
from shards.packing.writer import WrittenShard
from shards.repair.restore import repair
from shards.repair.verification import verify


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    dataset, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "out")
    assert len(dataset.manifest.shards) >= 2
    return dataset


def path_of(dataset: Dataset, name: str) -> Path:
    return Path(dataset.store.path(name))


def damage(dataset: Dataset, number: int = 0) -> None:
    """Flip a byte in the audio of a clip."""
    row = dataset.rows[number]
    path = path_of(dataset, row.shard)
    data = bytearray(path.read_bytes())
    data[row.offset + row.size // 2] ^= 1
    path.write_bytes(data)


def content(dataset: Dataset) -> dict[str, tuple]:
    """Every clip's labels and bytes, by id."""
    return {
        row.source_id: (row.weak, row.events, row.subset, dict(row.meta), dataset.read(row))
        for row in dataset.rows
    }


def test_a_whole_dataset_is_left_alone(dataset: Dataset, tmp_path: Path) -> None:
    before = files(tmp_path / "out")
    assert repair(dataset.store).done == ()
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize("lost", ["manifest", "index", "both", "damaged index"])
def test_manifest_and_index_come_back_byte_for_byte(
    dataset: Dataset, tmp_path: Path, lost: str
) -> None:
    before = files(tmp_path / "out")
    index = path_of(dataset, dataset.manifest.index.name)
    if lost in ("manifest", "both"):
        path_of(dataset, MANIFEST).unlink()
    if lost in ("index", "both"):
        index.unlink()
    if lost == "damaged index":
        index.write_bytes(index.read_bytes()[:-9])
    done = repair(dataset.store, name="noise", licence="CC0")
    how = "rebuilt from index and tars" if lost == "manifest" else "rebuilt from the tars"
    assert done.lost == () and how in done.done[0]
    assert files(tmp_path / "out") == before


def test_a_damaged_clip_is_dropped_only_when_asked(dataset: Dataset, tmp_path: Path) -> None:
    expected = content(dataset)
    damage(dataset)
    before = files(tmp_path / "out")
    found = repair(dataset.store)
    assert (found.lost, found.done, found.dropped) == ((dataset.rows[0].source_id,), (), False)
    assert files(tmp_path / "out") == before
    found = repair(dataset.store, drop=True)
    assert found.dropped and found.lost == (dataset.rows[0].source_id,)
    assert verify(dataset.store).problems == ()
    del expected[dataset.rows[0].source_id]
    assert content(Dataset.open(dataset.store)) == expected
    [aside] = dataset.store.names("damaged")
    assert dataset.store.read(aside) == before[dataset.rows[0].shard]
    assert repair(dataset.store).done == ()


def test_a_damaged_description_costs_no_clip(dataset: Dataset) -> None:
    expected = content(dataset)
    row = dataset.rows[0]
    path = path_of(dataset, row.shard)
    data = bytearray(path.read_bytes())
    data[row.offset - 512] ^= 1  # the header before the audio
    path.write_bytes(data)
    assert not verify(dataset.store).ok
    assert repair(dataset.store).lost == ()
    assert verify(dataset.store).problems == ()
    assert content(Dataset.open(dataset.store)) == expected


def test_a_missing_and_a_truncated_shard(dataset: Dataset) -> None:
    first, second = (shard.name for shard in dataset.manifest.shards[:2])
    path_of(dataset, first).unlink()
    cut = path_of(dataset, second)
    last = [row for row in dataset.rows if row.shard == second][-1]
    cut.write_bytes(cut.read_bytes()[: last.offset + 10])
    expected = {row.source_id for row in dataset.rows if row.shard == first} | {last.source_id}
    assert set(repair(dataset.store).lost) == expected
    assert set(repair(dataset.store, drop=True).lost) == expected
    assert verify(dataset.store).problems == ()
    left = {row.source_id for row in Dataset.open(dataset.store).rows}
    assert left == {row.source_id for row in dataset.rows} - expected


def test_shards_elsewhere_are_read_alone(dataset: Dataset, tmp_path: Path) -> None:
    urls = str(tmp_path / "out"), str(tmp_path / "new")
    store = Store.local(urls[1])
    shards = counted(refer(dataset.manifest.shards, *urls), dataset.rows)
    write_dataset(store, dataset.rows, name="n", licence="l", classes=["noise"], shards=shards)
    damage(dataset)
    before = files(tmp_path / "out")
    assert repair(store, drop=True).lost == (dataset.rows[0].source_id,)
    assert verify(store).problems == ()
    assert files(tmp_path / "out") == before
    assert len(Dataset.open(store).rows) == 8
    shutil.rmtree(tmp_path / "new" / "index")
    with pytest.raises(DatasetError, match="make the dataset again with pmam reindex"):
        repair(store)


def test_a_manifest_that_lies_follows_the_index(dataset: Dataset) -> None:
    values = json.loads(dataset.store.read(MANIFEST))
    values["totals"]["clips"] = 99
    values["classes"] = ["rain"]
    dataset.store.write(MANIFEST, json.dumps(values).encode())
    assert "follows the index" in repair(dataset.store).done[0]
    assert Dataset.open(dataset.store).manifest.classes == ("rain", "noise")
    assert verify(dataset.store).problems == ()


def test_nothing_to_rebuild_from(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no tar in shards/"):
        repair(Store.local(tmp_path))


def test_an_index_of_wrong_checksums_loses_nothing_unasked(dataset: Dataset) -> None:
    lies = [replace(row, checksum=hashlib.sha256(b"").hexdigest()) for row in dataset.rows]
    manifest = dataset.manifest
    write_dataset(
        dataset.store,
        lies,
        name=manifest.name,
        licence=manifest.licence,
        classes=manifest.classes,
        shards=manifest.shards,
    )
    found = repair(dataset.store)
    assert len(found.lost) == 9 and not found.dropped
    with pytest.raises(DatasetError, match="no clip is whole"):
        repair(dataset.store, drop=True)


@pytest.mark.parametrize("known_by", ["index", "parts", "nothing"])
def test_clips_lost_without_a_manifest_are_named(
    dataset: Dataset, tmp_path: Path, known_by: str
) -> None:
    """Nothing is written, so that nothing calls the rest whole, until it is asked for."""
    first, second = (shard.name for shard in dataset.manifest.shards[:2])
    if known_by == "parts":
        for shard in dataset.manifest.shards:
            rows = tuple(row for row in dataset.rows if row.shard == shard.name)
            packed = WrittenShard(name=shard.name, size=shard.size, sha256=shard.sha256, rows=rows)
            part = json.dumps({"outputs": {}, "written": packed.to_json()})
            dataset.store.write(f"parts/{Path(shard.name).stem}.json", part.encode())
    path_of(dataset, MANIFEST).unlink()
    if known_by != "index":
        path_of(dataset, dataset.manifest.index.name).unlink()
    cut = path_of(dataset, second)
    last = [row for row in dataset.rows if row.shard == second][-1]
    cut.write_bytes(cut.read_bytes()[: last.offset + 10])
    gone = {last.source_id}
    if known_by != "nothing":
        path_of(dataset, first).unlink()
        gone |= {row.source_id for row in dataset.rows if row.shard == first}
    before = files(tmp_path / "out")
    found = repair(dataset.store)
    assert found.done == () and not found.dropped
    if known_by == "nothing":
        assert any(f"{second}: clips of unknown ids" in lost for lost in found.lost)
    else:
        assert set(found.lost) == gone
    assert files(tmp_path / "out") == before
    assert not verify(dataset.store).ok
    assert repair(dataset.store, drop=True).dropped
    assert verify(dataset.store).problems == ()
    left = {row.source_id for row in Dataset.open(dataset.store).rows}
    assert left == {row.source_id for row in dataset.rows} - gone


def test_a_whole_shard_put_back_after_the_manifest_was_lost(dataset: Dataset) -> None:
    expected = content(dataset)
    path_of(dataset, MANIFEST).unlink()
    shard = path_of(dataset, dataset.manifest.shards[0].name)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    assert repair(dataset.store).lost
    shard.write_bytes(whole)
    assert repair(dataset.store).lost == ()
    assert verify(dataset.store).problems == ()
    assert content(Dataset.open(dataset.store)) == expected
