"""RealDESED: three splits with metadata and annotations."""

from pathlib import Path

import pytest

from shards.clip import Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

META = "filename,target_classes,recording_device,recording_environment,scene_description\n"
EVENTS = "filename,onset,offset,class\n"


def listing(root: Path) -> SourceListing:
    return SOURCES["realdesed"](Store.local(root), {})


def write(root: Path, split: str, names: str, events: str, files: str) -> None:
    folder = root / split
    (folder / "audio").mkdir(parents=True)
    rows = "".join(f"{n}.wav,bell_ringing; keychain,Pixel,hall; kitchen,\n" for n in names)
    (folder / "metadata.csv").write_text(META + rows)
    (folder / "annotations.csv").write_text(EVENTS + events)
    for name in files:
        (folder / "audio" / f"{name}.wav").touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    twice = "a.wav,1.5,2.0,keychain\n"
    write(tmp_path, "train", "abc", f"{twice}a.wav,0.1,0.4,bell_ringing\n{twice}", "abx")
    write(tmp_path, "test", "de", "d.wav,0,1,microwave\n", "de")
    return tmp_path


def test_splits_labels_and_metadata(root: Path) -> None:
    found = listing(root)
    clips = {clip.source_id: clip for clip in found.clips}
    assert {name: clip.subset for name, clip in clips.items()} == {
        "train/a": "strong",
        "train/b": "unlabeled",
        "test/d": "test",
    }
    assert clips["train/a"].events == (
        Event(0.1, 0.4, "bell_ringing"),
        Event(1.5, 2.0, "keychain"),
    )
    assert clips["train/b"].events is None
    assert clips["train/a"].recording == "a"
    assert clips["train/a"].meta == {
        "target_classes": ["bell_ringing", "keychain"],
        "recording_device": "Pixel",
        "recording_environment": ["hall", "kitchen"],
    }
    assert found.classes == ("bell_ringing", "keychain", "microwave")
    assert found.missing == ("train/c.wav",)
    assert found.unlabelled == ("train/audio/b.wav", "test/audio/e.wav")
    assert found.extra == ("train/audio/x.wav",)
    assert found.notes == (
        "train: 2 of 3 recordings present (66.7 %)",
        "train: 1 recordings without annotations are unlabelled",
        "test: 2 of 2 recordings present",
        "test: 1 recordings without annotations are left out",
        "together: 4 of 5710 published recordings present (0.1 %)",
    )


def test_the_order_of_rows_does_not_matter(root: Path) -> None:
    before = {clip.source_id: clip for clip in listing(root).clips}
    for path in root.glob("*/*.csv"):
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *rows[::-1]]) + "\n")
    assert {clip.source_id: clip for clip in listing(root).clips} == before


def test_layouts_that_are_not_its(root: Path, tmp_path: Path) -> None:
    (root / "train/annotations.csv").rename(root / "train/annotations_raw.csv")
    with pytest.raises(SourceError, match=r"got metadata\.csv and no annotations\.csv"):
        listing(root)
    with pytest.raises(SourceError, match=r"got no train/metadata\.csv, validation/metadata"):
        listing(root / "test")
    for path in (root / "train").glob("*.csv"):
        path.unlink()
    (root / "test/audio/d.wav").unlink()
    with pytest.raises(SourceError, match="got none of the listed recordings"):
        listing(root)


@pytest.mark.parametrize("layout", ["{split}", "audio/{split}", "audio", "above"])
def test_other_places_of_audio_say_the_same(root: Path, layout: str) -> None:
    expected = listing(root)
    place = "{split}/audio" if layout == "above" else layout
    for split in ("train", "test"):
        for path in sorted((root / split / "audio").iterdir()):
            new = root / place.format(split=split) / path.name
            new.parent.mkdir(parents=True, exist_ok=True)
            path.rename(new)
    if layout == "above":
        inner = root / "RealDESED"
        inner.mkdir()
        for split in ("train", "test"):
            (root / split).rename(inner / split)

    def moved(name: str) -> str:
        split, _, base = name.split("/")
        inside = f"{place.format(split=split)}/{base}"
        return f"RealDESED/{inside}" if layout == "above" else inside

    found = listing(root)
    assert {clip.source_id: clip.audio for clip in found.clips} == {
        clip.source_id: moved(clip.audio) for clip in expected.clips
    }
    assert [(c.subset, c.events, c.meta) for c in found.clips] == [
        (c.subset, c.events, c.meta) for c in expected.clips
    ]
    assert (found.missing, found.notes) == (expected.missing, expected.notes)
    assert sorted(found.extra) == sorted(map(moved, expected.extra))
    assert sorted(found.unlabelled) == sorted(map(moved, expected.unlabelled))
