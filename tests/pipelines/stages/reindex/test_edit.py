"""`pmam reindex` and `pmam verify --repair`, as people call them."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign_cases import sound, write_tar
from packing import files, noise_clips, pack

from pipelines.cli.main import main
from pipelines.runtime.files.urls import open_dataset
from shards.dataset import Dataset
from shards.manifest import MANIFEST


def run(*arguments: object) -> None:
    main([str(argument) for argument in arguments])


@pytest.fixture
def packed(tmp_path: Path) -> Dataset:
    return pack(tmp_path / "in", noise_clips(tmp_path / "in", 9), tmp_path / "old")[0]


def test_foreign_tars_plain_and_gzipped(
    tmp_path: Path, ray_session: None, refused: Callable[..., str]
) -> None:
    for shard in range(2):
        members = [
            (f"clip{n}.{kind}", value)
            for n in range(3 * shard, 3 * shard + 3)
            for kind, value in (("flac", sound(n)), ("cls", str(n % 2)))
        ]
        write_tar(tmp_path / "tars" / f"s-{shard:03d}.tar", members)
    second = tmp_path / "tars" / "s-001.tar"
    (tmp_path / "tars" / "s-001.tar.gz").write_bytes(gzip.compress(second.read_bytes()))
    second.unlink()
    third = write_tar(tmp_path / "tars" / "s-002.tar", [("clip0.flac", sound(0)), ("x.png", "x")])
    before = files(tmp_path / "tars")
    word, out = tmp_path / "tars", tmp_path / "out"
    call = ("reindex", "foreign", word, out, "--classes", "cat", "dog")
    assert "s-001.tar.gz: compressed with gzip" in refused(*call)
    assert not out.exists()
    twice = refused(*call, "--unpack")
    assert "'clip0' is doubled, in" in twice and "--id shard" in twice
    assert not out.exists()
    third.unlink()
    del before["s-002.tar"]
    run(*call, "--unpack")
    run("verify", out)
    dataset = open_dataset(str(out))
    assert [row.weak for row in dataset.rows] == [("cat",), ("dog",)] * 3
    assert [dataset.read(row) for row in dataset.rows] == [sound(n) for n in range(6)]
    assert files(tmp_path / "tars") == before
    assert "no tars there" in refused("reindex", "foreign", tmp_path / "none", tmp_path / "x")


def test_labels_filter_and_merge_move_no_audio(tmp_path: Path, packed: Dataset) -> None:
    before = files(tmp_path / "old")
    ids = [row.source_id for row in packed.rows]
    table = tmp_path / "labels.tsv"
    rows = "".join(f"{name}\t0.01\t0.1\train\n" for name in ids[:4])
    table.write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    (tmp_path / "list.txt").write_text("\n".join(ids[4:]))
    run("reindex", "labels", tmp_path / "old", tmp_path / "a", "--table", table, "--others", "drop")
    run("reindex", "filter", tmp_path / "old", tmp_path / "b", "--list", tmp_path / "list.txt")
    run("reindex", "merge", tmp_path / "a", tmp_path / "b", tmp_path / "c", "--relative")
    where = 'len(events) == 1 or meta.n >= 0 and "noise" in weak and duration_s < 0.3'
    run("reindex", "filter", tmp_path / "c", tmp_path / "d", "--where", where)
    for name in "abcd":
        run("verify", tmp_path / name)
        assert not list((tmp_path / name).rglob("*.tar"))
    merged = open_dataset(str(tmp_path / "c"))
    assert merged.manifest.classes == ("rain", "noise")
    old = {row.source_id: packed.read(row) for row in packed.rows}
    assert {row.source_id: merged.read(row) for row in merged.rows} == old
    last = open_dataset(str(tmp_path / "d"))
    assert {row.source_id for row in last.rows} == {
        row.source_id
        for row in merged.rows
        if row.events is not None or (row.weak == ("noise",) and row.duration_s < 0.3)
    }
    assert files(tmp_path / "old") == before


def test_a_reindexed_dataset_is_kept_until_its_input_changes(
    tmp_path: Path, packed: Dataset
) -> None:
    call = ("reindex", "filter", tmp_path / "old", tmp_path / "new", "--where", "size > 0")
    run(*call)
    before = (tmp_path / "new" / MANIFEST).stat().st_mtime_ns
    run(*call)
    assert (tmp_path / "new" / MANIFEST).stat().st_mtime_ns == before


def test_what_reindex_refuses(tmp_path: Path, packed: Dataset, refused: Callable[..., str]) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    table = tmp_path / "mapping.tsv"
    table.write_text("old\tnew\nNoise\tx\n")
    assert "nothing to change" in refused("reindex", "labels", old, new)
    assert "'noise' (nearest: 'Noise')" in refused(
        "reindex", "labels", old, new, "--mapping", table
    )
    assert "'noise' (nearest: 'noisy')" in refused(
        "reindex", "labels", old, new, "--classes", "noisy"
    )
    assert "either --where" in refused("reindex", "filter", old, new)
    assert "did you mean 'subset'" in refused("reindex", "filter", old, new, "--where", "subst > 1")
    assert "no clip of 9 is left" in refused("reindex", "filter", old, new, "--where", "size < 0")
    assert "expected two datasets" in refused("reindex", "merge", old, new)
    assert "give each dataset a prefix" in refused("reindex", "merge", old, f"{old}/.", new)
    assert not (new / MANIFEST).exists()


def test_verify_tells_by_its_status_and_repairs(
    tmp_path: Path, packed: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    row = packed.rows[0]
    path = tmp_path / "old" / row.shard
    data = bytearray(path.read_bytes())
    data[row.offset + 700] ^= 1
    path.write_bytes(data)
    for options in ((), ("--repair",)):
        with pytest.raises(SystemExit) as ended:
            run("verify", tmp_path / "old", *options)
        assert ended.value.code == 1
    assert "1 clips are lost; copy their shard again" in capsys.readouterr().out
    run("verify", tmp_path / "old", "--repair", "--drop-lost")
    (tmp_path / "old" / MANIFEST).unlink()
    with pytest.raises(SystemExit) as ended:
        run("verify", tmp_path / "old")
    assert ended.value.code == 1
    run("verify", tmp_path / "old", "--repair")
    assert "8 clips in" in capsys.readouterr().out.splitlines()[-1]


def test_missing_values_in_tables_are_told_and_no_labels(
    tmp_path: Path, packed: Dataset, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    ids = [row.source_id for row in packed.rows]
    old, table = tmp_path / "old", tmp_path / "weak.tsv"
    table.write_text(f"filename\tevent_labels\n{ids[0]}\tnan\n{ids[1]}\train\n{ids[2]}\t\n")
    (tmp_path / "mapping.tsv").write_text("old\tnew\nrain\tNaN\nnoise\tnoise\n")
    (tmp_path / "subsets.tsv").write_text(f"filename\tsubset\n{ids[1]}\tnan\n")
    options = ("--table", table, "--mapping", tmp_path / "mapping.tsv")
    options = (*options, "--subsets", tmp_path / "subsets.tsv")
    run("reindex", "labels", old, tmp_path / "new", *options)
    out = " ".join(capfd.readouterr().out.split())
    assert "1 cells are taken as none of the classes ('nan' in row 2)" in out
    new = open_dataset(str(tmp_path / "new"))
    assert new.manifest.classes == ()
    assert {row.subset for row in new.rows} == {row.subset for row in packed.rows}
    for name in ("one", "two"):
        (tmp_path / f"{name}.tsv").write_text('filename\tevent_labels\na\t"x\nb\t"y\n')
    tables = ("--table", tmp_path / "one.tsv", tmp_path / "two.tsv")
    said = refused("reindex", "labels", old, tmp_path / "other", *tables)
    assert "one.tsv: 2 rows are wrong" in said and "two.tsv: 2 rows are wrong" in said
