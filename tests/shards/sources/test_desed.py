"""DESED's official layout: its parts, copies at other rates, and what is missing."""

import random
from pathlib import Path

import pytest

from shards.clip import Clip, Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

STRONG = "filename\tonset\toffset\tevent_label\n"
WEAK = "filename\tevent_labels\n"


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["desed"](Store.local(root), options)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def table(root: Path, name: str, text: str) -> None:
    path = root / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def by_id(found: SourceListing) -> dict[str, Clip]:
    return {clip.source_id: clip for clip in found.clips}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    touch(
        tmp_path,
        "audio/train/strong_label_real/Y-abcdefghij_30.000_40.000.wav",
        "audio/train/weak/Y-abcdefghij_30.000_40.000.wav",
        "audio/train/weak/Ylllllllllll_0.000_4.000.wav",
        "audio/train/unlabel_in_domain/Yuuuuuuuuuuu_0.000_10.000.wav",
        "audio/train/synthetic21_train/soundscapes/0.wav",
        "audio/validation/synthetic21_validation/soundscapes/0.wav",
        "audio/validation/validation/Yvvvvvvvvvvv_0.000_10.000.wav",
        "audio/eval/public/Yeeeeeeeeeee_0.000_10.000.wav",
        "audio/eval/public/Yunlisted00_0.000_10.000.wav",
        "audio/train/soundbank/foreground/Cat/1.wav",
    )
    name = "Y-abcdefghij_30.000_40.000.wav"
    table(tmp_path, "train/audioset_strong.tsv", f"{STRONG}{name}\t2\t3\tCat\n{name}\t0\t1\tDog\n")
    table(
        tmp_path,
        "train/weak.tsv",
        f"{WEAK}{name}\tDog,Cat\nYlllllllllll_0.000_4.000.wav\tSpeech\nYgone.wav\tBlender\n",
    )
    for part, subset in (("train", "synthetic21_train"), ("validation", "synthetic21_validation")):
        table(tmp_path, f"{part}/{subset}/soundscapes.tsv", f"{STRONG}0.wav\t1.5\t2.5\tFrying\n")
    clip = "Yvvvvvvvvvvv_0.000_10.000.wav"
    table(tmp_path, "validation/validation.tsv", f"{STRONG}{clip}\t\t\t\n")
    table(tmp_path, "eval/public.tsv", f"{STRONG}Yeeeeeeeeeee_0.000_10.000.wav\t0\t9\tSpeech\n")
    return tmp_path


def test_all_parts(root: Path) -> None:
    found = listing(root)
    clips = by_id(found)
    assert {name: clip.subset for name, clip in clips.items()} == {
        "strong/Y-abcdefghij_30.000_40.000": "strong",
        "weak/Y-abcdefghij_30.000_40.000": "weak",
        "weak/Ylllllllllll_0.000_4.000": "weak",
        "unlabeled/Yuuuuuuuuuuu_0.000_10.000": "unlabeled",
        "synthetic/0": "synthetic",
        "synthetic_validation/0": "synthetic_validation",
        "validation/Yvvvvvvvvvvv_0.000_10.000": "validation",
        "test/Yeeeeeeeeeee_0.000_10.000": "test",
    }
    strong = clips["strong/Y-abcdefghij_30.000_40.000"]
    assert strong.events == (Event(0, 1, "Dog"), Event(2, 3, "Cat"))
    assert strong.recording == "-abcdefghij"
    assert clips["weak/Y-abcdefghij_30.000_40.000"].weak == ("Cat", "Dog")
    assert clips["unlabeled/Yuuuuuuuuuuu_0.000_10.000"].events is None
    assert clips["validation/Yvvvvvvvvvvv_0.000_10.000"].events == ()
    assert clips["synthetic/0"].recording is None
    assert found.classes == ("Cat", "Dog", "Frying", "Speech")
    assert found.missing == ("weak/Ygone.wav",)
    assert found.extra == (
        "audio/eval/public/Yunlisted00_0.000_10.000.wav",
        "audio/train/soundbank/foreground/Cat/1.wav",
    )
    assert "weak: 2 of 1578 clips present (0.1 %), the table lists 3" in found.notes
    assert "unlabeled: 1 of 14412 clips present (0.0 %)" in found.notes


def test_copies_at_another_rate(root: Path) -> None:
    touch(root, "audio/train/weak_16k/Ylllllllllll_0.000_4.000.wav")
    plain = by_id(listing(root))["weak/Ylllllllllll_0.000_4.000"]
    assert plain.audio.startswith("audio/train/weak/")
    with pytest.raises(SourceError, match="got no audio/train/strong_label_real_16k, but train/"):
        listing(root, suffix="_16k")
    only = root / "audio/train/strong_label_real"
    only.rename(only.with_name("strong_label_real_16k"))
    found = listing(root)
    assert "strong: from the copies in strong_label_real_16k" in found.notes
    assert not any("_16k" in name for name in found.extra)
    touch(root, "audio/train/strong_label_real_8k/Y-abcdefghij_30.000_40.000.wav")
    with pytest.raises(SourceError, match="as _16k, _8k; expected the original or one copy"):
        listing(root)


def test_chosen_copies(root: Path) -> None:
    touch(root, "small/audio/train/weak/x.wav", "small/audio/train/weak_16k/x.wav")
    table(root / "small", "train/weak.tsv", f"{WEAK}x.wav\tCat\n")
    found = listing(root / "small", suffix="_16k")
    assert [clip.audio for clip in found.clips] == ["audio/train/weak_16k/x.wav"]
    assert found.extra == ()


def test_synthetic_parts_in_their_archives_folder(tmp_path: Path) -> None:
    touch(tmp_path, "dcase_synth/audio/train/synthetic21_train/soundscapes/0.wav")
    where = "train/synthetic21_train/soundscapes.tsv"
    table(tmp_path / "dcase_synth", where, f"{STRONG}0.wav\t1\t2\tCat\n")
    assert list(by_id(listing(tmp_path))) == ["synthetic/0"]


def test_validation_clips_without_a_folder_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "audio/validation/Yvvvvvvvvvvv_0.000_10.000.wav")
    table(
        tmp_path,
        "validation/validation.tsv",
        f"{STRONG}Yvvvvvvvvvvv_0.000_10.000.wav\t0\t1\tCat\n",
    )
    found = listing(tmp_path)
    assert list(by_id(found)) == ["validation/Yvvvvvvvvvvv_0.000_10.000"]
    assert found.notes[-1].startswith("not there: strong, weak, unlabeled, synthetic")


def test_recordings_on_both_sides_are_told(root: Path) -> None:
    name = "Ylllllllllll_0.000_4.000.wav"
    touch(root, f"audio/eval/public/{name}")
    table(root, "eval/public.tsv", f"{STRONG}{name}\t0\t1\tCat\n")
    assert "1 recordings are in weak and in test: leave them out of one" in listing(root).notes


@pytest.mark.parametrize(
    ("remove", "reason"),
    [
        ("metadata/train/weak.tsv", "expected also metadata/train/weak.tsv: restore"),
        ("metadata/eval/public.tsv", "expected also metadata/eval/public.tsv: restore"),
    ],
)
def test_audio_without_its_table(root: Path, remove: str, reason: str) -> None:
    (root / remove).unlink()
    with pytest.raises(SourceError, match=reason):
        listing(root)


def test_another_layout(tmp_path: Path) -> None:
    touch(tmp_path, "weak/a.wav")
    with pytest.raises(SourceError, match="got none of DESED's clips; expected folders such as"):
        listing(tmp_path)


def test_the_order_of_rows_does_not_matter(root: Path) -> None:
    before = listing(root)
    for path in (root / "metadata").rglob("*.tsv"):
        header, *rows = path.read_text().splitlines()
        random.Random(0).shuffle(rows)
        path.write_text("\n".join([header, *rows[::-1]]) + "\n")
    assert by_id(listing(root)) == by_id(before)


def test_the_published_tables(shared_dir: Path, tmp_path: Path) -> None:
    """The real tables with stand-ins for their audio, of which seven clips are not to be had."""
    meta = shared_dir / "data/desed_meta"
    parts = {
        "train/audioset_strong.tsv": "train/strong_label_real",
        "train/weak.tsv": "train/weak_16k",
        "validation/validation.tsv": "validation/validation",
    }
    for where, folder in parts.items():
        text = (meta / Path(where).name).read_text()
        table(tmp_path, where, text)
        names = sorted({line.split("\t")[0] for line in text.splitlines()[1:]})
        touch(tmp_path, *(f"audio/{folder}/{name}" for name in names[7:]))
    found = listing(tmp_path)
    assert found.notes[:4] == (
        "strong: 3456 of 3470 clips present (99.6 %), the table lists 3463",
        "weak: from the copies in weak_16k",
        "weak: 1571 of 1578 clips present (99.6 %)",
        "validation: 1161 of 1168 clips present (99.4 %)",
    )
    assert len(found.missing) == 21
    assert len(found.classes or ()) == 10
    assert all(clip.recording for clip in found.clips)
    assert "35 recordings are in strong and in validation: leave them out of one" in found.notes


def test_cells_of_a_missing_value_are_told(root: Path) -> None:
    rows = "Ylllllllllll_0.000_4.000.wav\tnan\nY-abcdefghij_30.000_40.000.wav\t\n"
    table(root, "train/weak.tsv", f"{WEAK}{rows}")
    found = listing(root)
    assert by_id(found)["weak/Ylllllllllll_0.000_4.000"].weak == ()
    [note] = [note for note in found.notes if "none of the classes" in note]
    assert note.startswith("weak: 1 cells are taken as none of the classes ('nan' in row 2)")
