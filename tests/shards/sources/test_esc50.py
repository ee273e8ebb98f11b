"""ESC-50 and ESC-10 in their three layouts."""

from pathlib import Path

import pytest
from packing import pack

from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

HEADER = "filename,fold,target,category,esc10,src_file,take\n"


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["esc50"](Store.local(root), options)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A public ESC-50 checkout with three clips, one of them missing."""
    touch(tmp_path, "audio/1-100032-A-0.wav", "audio/5-9032-B-36.wav", "audio/extra.wav")
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/esc50.csv").write_text(
        f"{HEADER}5-9032-B-36.wav,5,36,vacuum_cleaner,False,9032,B\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "2-1-A-0.wav,2,0,dog,True,1,A\n"
    )
    return tmp_path


def test_esc50_checkout(checkout: Path) -> None:
    found = listing(checkout)
    assert found.classes == ("dog", "vacuum_cleaner")
    assert found.missing == ("2-1-A-0.wav",)
    assert found.extra == ("audio/extra.wav",)
    assert found.notes == ("2 of 3 clips present (66.7 %)",)
    dog, vacuum = found.clips
    assert (dog.source_id, dog.recording, dog.fold, dog.weak) == (
        "1-100032-A-0",
        "100032",
        1,
        ("dog",),
    )
    assert (vacuum.recording, vacuum.fold, vacuum.meta) == ("9032", 5, {"take": "B"})


def test_esc10_of_esc50(checkout: Path) -> None:
    found = listing(checkout, esc10="true")
    assert [clip.source_id for clip in found.clips] == ["1-100032-A-0"]
    assert found.classes == ("dog",)


def test_public_esc10_folders(tmp_path: Path) -> None:
    touch(tmp_path, "001 - Dog bark/1-30226-A.ogg", "003 - Sea waves/5-28135-A.ogg")
    found = listing(tmp_path)
    assert found.classes == ("dog_bark", "sea_waves")
    assert [(clip.fold, clip.recording) for clip in found.clips] == [(1, "30226"), (5, "28135")]
    assert found.notes == ("2 of 400 clips present (0.5 %)",)


@pytest.mark.parametrize(
    ("name", "fold", "reason"),
    [
        ("1-2-A.ogg", "2", "its table says fold 2"),
        ("dog.ogg", "1", "expected a name like"),
        ("1-2-A.ogg", "x", "got 'x'; expected a whole number"),
        ("9-9-Z.ogg", "9", "none of the 1 listed clips"),
    ],
)
def test_doubtful_tables(tmp_path: Path, name: str, fold: str, reason: str) -> None:
    touch(tmp_path, "audio/1-2-A.ogg", "audio/dog.ogg")
    (tmp_path / "esc10.csv").write_text(f"filename,fold,category\n{name},{fold},dog\n")
    with pytest.raises(SourceError, match=reason):
        listing(tmp_path)


def test_neither_layout(tmp_path: Path) -> None:
    touch(tmp_path, "some.wav")
    with pytest.raises(SourceError, match="neither ESC-50 nor ESC-10"):
        listing(tmp_path)


def test_the_real_esc10(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data/esc10"
    found = listing(root)
    assert len(found.clips) == 400
    assert len(found.classes or ()) == 10
    assert found.missing == found.extra == ()
    folds: dict[str | None, set[int | None]] = {}
    for clip in found.clips:
        folds.setdefault(clip.recording, set()).add(clip.fold)
    assert all(len(each) == 1 for each in folds.values())  # no recording in two folds
    dataset, _ = pack(root, found.clips[::80], tmp_path / "out", target_bytes=100_000)
    for row in dataset.rows:
        assert (row.codec, row.sample_rate_hz) == ("ogg", 44100)
        assert row.duration_s == pytest.approx(5.0, abs=0.1)
        assert len(dataset.audio(row, 32000)) == pytest.approx(row.duration_s * 32000, abs=1)
