"""Merged datasets hold every clip of every part once, in tars that stay where they are."""

from dataclasses import replace
from pathlib import Path

import pytest
from index_rows import index_row
from packing import noise_clips, pack

from shards.dataset import Dataset
from shards.editing.merge import MergeInput, merge
from shards.io.store import Store
from shards.locations import counted, refer, relative_url, shard_names
from shards.manifest import DatasetError, ShardEntry, write_dataset
from shards.repair.verification import verify


def part(name: str, *ids: str, prefix: str = "", url: str | None = None) -> MergeInput:
    entry = ShardEntry(name="shards/0.tar", size=1, sha256=name, clips=9, url=url or f"/{name}.tar")
    rows = [index_row(source_id, recording=source_id) for source_id in ids]
    return MergeInput(name=name, rows=rows, shards=[entry], classes=(name,), prefix=prefix)


def test_shards_of_one_name_get_names_of_their_own() -> None:
    merged = merge([part("a", "1", "2"), part("b", "3")])
    assert [row.source_id for row in merged.rows] == ["1", "2", "3"]
    assert [(s.name, s.clips, s.url) for s in merged.shards] == [
        ("shards/00000-0.tar", 2, "/a.tar"),
        ("shards/00001-0.tar", 1, "/b.tar"),
    ]
    assert {row.shard for row in merged.rows} == {shard.name for shard in merged.shards}
    assert merged.classes == ("a", "b")
    assert merged.same_audio == 2


def test_equal_ids_need_prefixes() -> None:
    with pytest.raises(DatasetError, match=r"1 clips.*'1' in a and b; give each.*--prefixes"):
        merge([part("a", "1"), part("b", "1")])
    merged = merge([part("a", "1", prefix="a/"), part("b", "1", prefix="b/")])
    assert [(row.key, row.recording) for row in merged.rows] == [("a=2f1", "a/1"), ("b=2f1", "b/1")]


def test_a_tar_that_two_parts_use_is_named_once() -> None:
    first, second = part("a", "1", url="/x.tar"), part("a", "2", url="/x.tar")
    merged = merge([first, replace(second, name="b")])
    assert [(shard.name, shard.clips) for shard in merged.shards] == [("shards/0.tar", 2)]
    other = replace(second, name="b", shards=[replace(second.shards[0], sha256="b")])
    with pytest.raises(DatasetError, match="with other bytes"):
        merge([first, other])


@pytest.mark.parametrize("relative", [False, True])
def test_a_selection_reads_from_the_old_shards(tmp_path: Path, relative: bool) -> None:
    old, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "old")
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*.*")}
    urls = str(tmp_path / "old"), str(tmp_path / "new" / "selection")
    rows = old.rows[::2]
    store = Store.local(urls[1])
    shards = counted(refer(old.manifest.shards, *urls, relative=relative), rows)
    write_dataset(store, rows, name="n", licence="l", classes=["noise"], shards=shards)
    new = Dataset.open(store)
    assert {Path(str(shard.url)).is_absolute() for shard in new.manifest.shards} == {not relative}
    assert [new.read(row) for row in new.rows] == [old.read(row) for row in rows]
    assert verify(store).problems == ()
    assert not store.names("shards")
    assert before == {path: path.read_bytes() for path in (tmp_path / "old").rglob("*.*")}
    if relative:  # both move together
        (tmp_path / "old").rename(tmp_path / "new" / "old")
        (tmp_path / "new" / "x").mkdir()
        assert {problem.kind for problem in verify(store).problems} == {"missing"}
        (tmp_path / "moved").mkdir()
        (tmp_path / "new" / "old").rename(tmp_path / "moved" / "old")
        (tmp_path / "new").rename(tmp_path / "moved" / "new")
        assert verify(Store.local(tmp_path / "moved" / "new" / "selection")).ok


def test_urls() -> None:
    assert relative_url("s3://b/x/y.tar", "s3://b/d/e") == "../../x/y.tar"
    for url in ("s3://other/y.tar", "/y.tar"):
        with pytest.raises(DatasetError, match="no relative address"):
            relative_url(url, "s3://b/d")
    entry = ShardEntry(name="shards/0.tar", size=1, sha256="", clips=1)
    assert [s.url for s in refer([entry], "s3://b/d", "/x")] == ["s3://b/d/shards/0.tar"]
    again = replace(entry, url="../../x/y.tar")
    assert [s.url for s in refer([again], "s3://b/d/e", "/x")] == ["s3://b/x/y.tar"]
    assert shard_names(["/a/x.tar", "s3://b/y.tar.gz"]) == ["shards/x.tar", "shards/y.tar"]
    assert shard_names(["/a/x.tar", "/b/x.tgz"]) == ["shards/00000-x.tar", "shards/00001-x.tar"]


@pytest.mark.parametrize("url", ["../../..", "..", "", "s3://b/x.tar", "/"])
def test_urls_that_lead_nowhere(tmp_path: Path, url: str) -> None:
    old, _ = pack(tmp_path / "in", noise_clips(tmp_path / "in", 1), tmp_path / "old")
    shards = [replace(shard, url=url) for shard in old.manifest.shards]
    write_dataset(old.store, old.rows, name="n", licence="l", classes=["noise"], shards=shards)
    opened = Dataset.open(old.store)
    with pytest.raises((DatasetError, OSError)):
        opened.read(opened.rows[0])
    assert {p.kind for p in verify(old.store).problems} >= {"missing"}
