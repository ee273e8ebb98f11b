"""UrbanSound8K: ten folds of weakly labelled excerpts, by the table that is published with it."""

from pathlib import Path

import pytest
from packing import pack, write_noise

from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

HEADER = "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
ROWS = (
    "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"
    "100263-2-0-117.wav,100263,58.5,62.5,1,5,2,children_playing\n"
    "100648-1-0-0.wav,100648,4.823402,5.471927,2,10,1,car_horn\n"
    "100652-3-0-0.wav,100652,0.0,4.0,1,2,3,dog_bark\n"
)
FILES = ("fold5/100032-3-0-0.wav", "fold5/100263-2-0-117.wav", "fold10/100648-1-0-0.wav")


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["urbansound8k"](Store.local(root), options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three of four excerpts, and a file that the table does not know."""
    for name in (*FILES, "fold1/7-1-1-1.wav"):
        (tmp_path / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "audio" / name).touch()
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/UrbanSound8K.csv").write_text(HEADER + ROWS)
    return tmp_path


def test_excerpts_with_fold_and_recording(root: Path) -> None:
    found = listing(root)
    assert [(clip.source_id, clip.fold, clip.recording, clip.weak) for clip in found.clips] == [
        ("100032-3-0-0", 5, "100032", ("dog_bark",)),
        ("100263-2-0-117", 5, "100263", ("children_playing",)),
        ("100648-1-0-0", 10, "100648", ("car_horn",)),
    ]
    assert {clip.subset for clip in found.clips} == {"weak"}
    assert found.clips[1].meta == {"salience": "foreground", "start_s": 58.5, "end_s": 62.5}
    assert found.classes == ("car_horn", "children_playing", "dog_bark")  # as numbered
    assert found.missing == ("audio/fold2/100652-3-0-0.wav",)
    assert found.extra == ("audio/fold1/7-1-1-1.wav",)
    assert found.notes == ("3 of 4 excerpts present (75.0 %)",)


def test_excerpts_in_front(root: Path) -> None:
    found = listing(root, salience="foreground")
    assert [clip.source_id for clip in found.clips] == ["100032-3-0-0", "100263-2-0-117"]
    assert found.notes[1] == "1 excerpts are not in the foreground: left out"
    assert found.extra == ("audio/fold1/7-1-1-1.wav",)
    with pytest.raises(SourceError, match="salience: got 'loud'; expected foreground"):
        listing(root, salience="loud")


def test_other_suffixes_and_one_folder(root: Path) -> None:
    (root / "audio" / FILES[0]).rename(root / "100032-3-0-0.flac")
    assert listing(root).clips[0].audio == "100032-3-0-0.flac"


def test_another_fold_is_not_searched(root: Path) -> None:
    (root / "audio" / FILES[0]).rename(root / "audio/fold1/100032-3-0-0.wav")
    found = listing(root)
    assert found.missing[0] == "audio/fold5/100032-3-0-0.wav"
    assert "audio/fold1/100032-3-0-0.wav" in found.extra


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",5,3,dog_bark", ",11,3,dog_bark", r"row 2: got the fold 11; expected 1 to 10"),
        (",1,5,3,", ",3,5,3,", r"row 2: got the salience '3'"),
        ("0.wav,100032,", "0.wav,100033,", r"row 2: got fsID 100033 .* of 100032-3-0-0"),
        ("2,3,dog_bark", "2,3,dog", r"row 5: got the class 'dog' for classID 3; expected 'dog_b"),
        ("58.5", "soon", r"row 3: got the start 'soon'; expected seconds"),
        ("100652-3-0-0.wav,100652", "100032-3-0-0.wav,100032", r"row 5: got 100032-3-0-0 again"),
        ("100648-1-0-0", "horn", r"row 4: got the name 'horn'"),
        ("salience", "loud", r"salience"),
    ],
)
def test_tables_that_are_wrong(root: Path, old: str, new: str, said: str) -> None:
    (root / "metadata/UrbanSound8K.csv").write_text((HEADER + ROWS).replace(old, new, 1))
    with pytest.raises(SourceError, match=said):
        listing(root)


def test_all_wrong_rows_at_once(root: Path) -> None:
    text = (HEADER + ROWS).replace("58.5", "soon").replace(",2,10,", ",9,10,")
    (root / "metadata/UrbanSound8K.csv").write_text(text)
    with pytest.raises(SourceError, match=r"2 rows are wrong: .*row 3.*row 4"):
        listing(root)


def test_no_table_two_tables_or_no_audio_of_it(root: Path) -> None:
    (root / "copy").mkdir()
    (root / "copy/UrbanSound8K.csv").write_text(HEADER + ROWS)
    with pytest.raises(SourceError, match=r"got copy/.* and metadata/.*; expected one"):
        listing(root)
    (root / "copy/UrbanSound8K.csv").unlink()
    for name in FILES:
        (root / "audio" / name).unlink()
    with pytest.raises(SourceError, match=r"got none of the 4 excerpts"):
        listing(root)
    (root / "metadata/UrbanSound8K.csv").unlink()
    with pytest.raises(SourceError, match=r"got no UrbanSound8K\.csv"):
        listing(root)


def test_it_is_packed(root: Path, tmp_path: Path) -> None:
    for number, name in enumerate((*FILES, "fold1/7-1-1-1.wav")):
        write_noise(root / "audio" / name, seed=number)
    dataset, _ = pack(root, listing(root).clips, tmp_path / "set")
    assert {row.fold for row in dataset.rows} == {5, 10}
    assert sorted(row.weak or () for row in dataset.rows)[0] == ("car_horn",)
