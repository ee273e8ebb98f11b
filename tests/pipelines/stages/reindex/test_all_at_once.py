"""What is wrong with many files or rows is told in one go: the first twenty, and how many more."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from packing import noise_clips, pack

from pipelines.stages.reindex.foreign import shard_list
from shards.annotations import Content, read
from shards.annotations.event import AnnotationError
from shards.dataset import Dataset
from shards.editing.foreign_rules import ForeignError
from shards.editing.merge import MergeInput, merge
from shards.editing.relabel import (
    RelabelSettings,
    by_clip,
    class_list,
    with_mapping,
    with_subsets,
)
from shards.errors import ShardsError
from shards.tables.rows import Row

MANY = 23


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("many")
    return pack(root / "source", noise_clips(root / "source", MANY), root / "set")[0]


def labelled(dataset: Dataset) -> list:
    return [replace(row, weak=(f"class{n:02d}",)) for n, row in enumerate(dataset.rows)]


def subsets(dataset: Dataset) -> list[Row]:
    return [Row({"filename": row.source_id, "fold": f"f{n}"}) for n, row in enumerate(dataset.rows)]


CASES: dict[str, Callable[[Dataset], object]] = {
    "mapping": lambda d: with_mapping(labelled(d), [], RelabelSettings()),
    "classes": lambda d: class_list(labelled(d), ["other"], None),
    "classes given twice": lambda d: class_list([], [f"c{n // 2}" for n in range(2 * MANY)], None),
    "folds": lambda d: with_subsets(d.rows, by_clip(d.rows, subsets(d))[0]),
    "merged twice": lambda d: merge(
        [MergeInput(name=n, rows=d.rows, shards=(), classes=None) for n in "ab"]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_edits_of_a_dataset(dataset: Dataset, case: str) -> None:
    with pytest.raises(ShardsError) as caught:
        CASES[case](dataset)
    said = str(caught.value)
    assert "\n" not in said
    assert "and 3 more" in said
    assert said.count("; ") >= 20


def test_folders_without_tars(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(ForeignError, match=r"2 faults: .*/a: no tars there.*/b: no tars there"):
        shard_list([str(tmp_path / "a"), str(tmp_path / "b")])


TSV = "filename\tonset\toffset\tevent_label\n"
RTTM = "SPEAKER a 1 0.0 1.0 <NA> <NA> dog <NA> <NA>\n"
FORMATS = {
    "tsv": TSV + "a.wav\tx\t1\tdog\na.wav\t0\t1\tdog\na.wav\t2\t1\tdog\n",
    "rttm": RTTM + "SPEAKER a 1 x 1.0 <NA> <NA> dog <NA> <NA>\nSPEAKER a 1 0.0\n",
    "audacity": "0.0\t1.0\tdog\nhello\n2.0\t1.0\tcat\n",
    "jsonl": '{"filename":"a","onset":0,"offset":1,"event_label":"b"}\n[]\n{"filename":\n',
    "csv": TSV.replace("\t", ",") + "a.wav,0,y,dog\na.wav,1,2,cat\nb.wav,0,z,dog\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_rows_of_annotations(name: str) -> None:
    content = Content(data=FORMATS[name].encode(), path="x.txt", audio="x.wav")
    with pytest.raises(AnnotationError, match=r"^2 faults: x\.txt (line|row) \d") as caught:
        read(content, name)
    assert len(re.findall(r"x\.txt (?:line|row) \d", str(caught.value))) == 2
