"""FSDKaggle2018 in the layouts of Zenodo and of Kaggle."""

from pathlib import Path

import pytest
from packing import pack, write_noise

from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

LAYOUTS = {
    "zenodo": (
        "FSDKaggle2018.audio_train",
        "FSDKaggle2018.audio_test",
        "FSDKaggle2018.meta/train_post_competition.csv",
        "FSDKaggle2018.meta/test_post_competition_scoring_clips.csv",
    ),
    "kaggle": ("audio_train", "audio_test", "train.csv", "test_post_competition.csv"),
}
TRAINING = """fname,label,manually_verified,freesound_id,license
00044347.wav,Hi-hat,0,28739,Attribution
001ca53d.wav,Saxophone,1,358827,Attribution
002d256b.wav,Trumpet,0,10897,Creative Commons 0
"""
TESTING = """fname,label,usage,freesound_id,license
00326aa9.wav,Oboe,Private,355125,Attribution
0038a046.wav,Bass_drum,Public,90621,Creative Commons 0
00ffffff.wav,None,Ignored,,
"""


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def made(root: Path, layout: str, training: str = TRAINING) -> Path:
    """A set where the last training clip is missing, and one file is in no table."""
    train, test, trained, tested = LAYOUTS[layout]
    write(root / trained, training)
    write(root / tested, TESTING)
    for name in ("00044347.wav", "001ca53d.wav", "ffff0000.wav"):
        write(root / train / name)
    for name in ("00326aa9.wav", "0038a046.wav", "00ffffff.wav"):
        write(root / test / name)
    return root


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["fsdkaggle2018"](Store.local(root), options)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    found = listing(made(tmp_path, layout))
    assert [(clip.source_id, clip.subset, clip.weak, clip.recording) for clip in found.clips] == [
        ("00044347", "weak", ("Hi-hat",), "28739"),
        ("001ca53d", "weak", ("Saxophone",), "358827"),
        ("00326aa9", "test", ("Oboe",), "355125"),
        ("0038a046", "test", ("Bass_drum",), "90621"),
    ]
    assert found.clips[0].meta == {
        "verified": "0",
        "freesound_id": "28739",
        "licence": "Attribution",
    }
    assert found.classes == ("Bass_drum", "Hi-hat", "Oboe", "Saxophone")
    assert found.missing == ("audio_train/002d256b.wav",)
    assert [name.split("/")[-1] for name in found.extra] == ["ffff0000.wav"]
    ignored, present = found.notes
    assert ignored.startswith("1 rows of ")
    assert present == "4 of 5 clips present (80.0 %)"


def test_labels_that_people_checked(tmp_path: Path) -> None:
    found = listing(made(tmp_path, "zenodo"), verified="true")
    assert [clip.source_id for clip in found.clips if clip.subset == "weak"] == ["001ca53d"]
    assert "1 of 3 training clips are manually verified" in found.notes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Hi-hat", "", r"row 2: got no label of 00044347\.wav"),
        ("001ca53d.wav", "00044347.wav", r"row 3: got 00044347\.wav again"),
        (",1,358827", ",yes,358827", r"row 3: got manually_verified 'yes'; expected 1 or 0"),
    ],
)
def test_tables_that_are_wrong(tmp_path: Path, old: str, new: str, said: str) -> None:
    root = made(tmp_path, "kaggle", TRAINING.replace(old, new))
    with pytest.raises(SourceError, match=said):
        listing(root, **({"verified": "true"} if "yes" in new else {}))


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    write(tmp_path / "a.wav")
    with pytest.raises(SourceError, match=r"no clips of FSDKaggle2018 \(0 are listed"):
        listing(tmp_path)
    for layout in LAYOUTS:
        made(tmp_path / "one" / layout, layout)
    write(tmp_path / "one" / "again" / "train.csv", TRAINING)
    write(tmp_path / "one" / "again" / "train_post_competition.csv", TRAINING)
    with pytest.raises(SourceError, match="expected one set"):
        listing(tmp_path / "one")


def test_it_can_be_packed(tmp_path: Path) -> None:
    root = made(tmp_path / "set", "zenodo")
    for path in root.rglob("*.wav"):
        write_noise(path)
    dataset, _ = pack(root, listing(root).clips, tmp_path / "packed")
    assert {row.subset for row in dataset.rows} == {"weak", "test"}
