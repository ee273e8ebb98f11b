"""TUT Rare Sound Events 2017: event lists, recipes, and a part of the set."""

from pathlib import Path

import pytest

from shards.clip import Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing


def listing(root: Path) -> SourceListing:
    return SOURCES["tut_rare"](Store.local(root), {})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("audio/mix_0.flac", "audio/mix_1.wav", "meta/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    write_list(tmp_path, "mix_0.wav\nmix_1.wav,1.5,2.25,babycry\nmix_2.wav,1,2,babycry\n")
    return tmp_path


def write_list(root: Path, text: str, part: str = "evaltest") -> None:
    (root / f"meta/event_list_{part}_babycry.csv").write_text(text)


def test_lists_without_recipes(root: Path) -> None:
    found = listing(root)
    assert found.missing == ("mix_2",)
    assert found.classes == ("babycry",)
    assert found.notes[0] == "2 of 3 mixtures present (66.7 %)"
    assert "2 mixtures without a recipe" in found.notes[1]
    silent, crying = found.clips
    assert (silent.audio, silent.events, silent.subset) == ("audio/mix_0.flac", (), "test")
    assert crying.events == (Event(1.5, 2.25, "babycry"),)
    assert (crying.recording, crying.meta, crying.fold) == (None, {}, None)


@pytest.mark.parametrize(("part", "subset"), [("devtrain", "strong"), ("devtest", "validation")])
def test_development_parts(root: Path, part: str, subset: str) -> None:
    (root / "meta/event_list_evaltest_babycry.csv").unlink()
    write_list(root, "mix_0.wav\n", part)
    found = listing(root)
    assert [clip.subset for clip in found.clips] == [subset]
    assert found.extra == ("audio/mix_1.wav",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("mix_0.wav,1\n", r"line 1: got 2 cells"),
        ("mix_0.wav\nmix_1.wav,a,2,x\n", r"line 2: got onset 'a'"),
        ("other.wav\n", "none of the 1 listed mixtures, such as 'other'"),
        ("", "lists no mixture"),
    ],
)
def test_bad_lists(root: Path, text: str, reason: str) -> None:
    write_list(root, text)
    with pytest.raises(SourceError, match=reason):
        listing(root)


def test_bad_recipes_and_parts(root: Path) -> None:
    recipes = root / "meta/mixture_recipes_evaltest_babycry.yaml"
    for text in ("- a: [", "- 1\n", "- ebr: 1\n", "!!python/object/apply:os.getcwd []\n"):
        recipes.write_text(text)
        with pytest.raises(SourceError, match=r"no list of mixture recipes|not plain") as caught:
            listing(root)
        assert "\n" not in str(caught.value)
    recipes.unlink()
    write_list(root, "mix_0.wav\n", "other")
    with pytest.raises(SourceError, match="part 'other'; expected one of devtrain"):
        listing(root)


def test_no_event_list(root: Path) -> None:
    (root / "meta/event_list_evaltest_babycry.csv").unlink()
    with pytest.raises(SourceError, match=r"got no event_list_\*\.csv and no mixture_recipes"):
        listing(root)


def test_recipes_stand_for_a_missing_event_list(root: Path) -> None:
    (root / "meta/event_list_evaltest_babycry.csv").unlink()
    (root / "meta/mixture_recipes_evaltest_babycry.yaml").write_text(
        "- {mixture_audio_filename: mix_0.wav, event_present: false, ebr: -.inf}\n"
        "- {mixture_audio_filename: mix_1.wav, event_present: true, ebr: 6.0, bg_path: a/1.wav,"
        " event_class: babycry, event_start_in_mixture_seconds: 1.5, event_length_seconds: 0.5}\n"
    )
    silent, crying = listing(root).clips
    assert silent.events == ()
    assert crying.events == (Event(1.5, 2.0, "babycry"),)
    assert (crying.meta["ebr_db"], crying.recording) == (6.0, "a/1.wav")
    (root / "meta/mixture_recipes_evaltest_babycry.yaml").write_text(
        "- {mixture_audio_filename: mix_1.wav, event_present: true}\n"
    )
    with pytest.raises(SourceError, match="mix_1: got an event without class, start or length"):
        listing(root)


def test_source_recordings_of_one_name_do_not_matter(root: Path) -> None:
    for name in ("babycry/1.wav", "gunshot/1.wav"):
        (root / "source" / name).parent.mkdir(parents=True)
        (root / "source" / name).touch()
    assert listing(root).extra == ("source/babycry/1.wav", "source/gunshot/1.wav")
    (root / "copy").mkdir()
    (root / "copy/mix_1.wav").touch()
    with pytest.raises(SourceError, match=r"audio/mix_1\.wav and copy/mix_1\.wav of one mixture"):
        listing(root)


def test_the_real_sample_by_recipes_alone(shared_dir: Path, tmp_path: Path) -> None:
    """The recipes say the same events as the lists, to the microsecond."""
    sample = shared_dir / "data/tut_rare_sample"
    (tmp_path / "audio").symlink_to(sample / "audio")
    (tmp_path / "meta").mkdir()
    for path in (sample / "meta").glob("*.yaml"):
        (tmp_path / "meta" / path.name).symlink_to(path)
    by_list = {clip.source_id: clip for clip in listing(sample).clips}
    by_recipe = {clip.source_id: clip for clip in listing(tmp_path).clips}
    assert by_list.keys() == by_recipe.keys()
    for name, clip in by_list.items():
        other = by_recipe[name]
        assert (clip.meta, clip.recording, clip.subset) == (
            other.meta,
            other.recording,
            other.subset,
        )
        for mine, theirs in zip(clip.events or (), other.events or (), strict=True):
            assert mine.label == theirs.label
            assert mine.onset_s == pytest.approx(theirs.onset_s, abs=1e-6)
            assert mine.offset_s == pytest.approx(theirs.offset_s, abs=1e-6)


def test_the_real_sample(shared_dir: Path) -> None:
    found = listing(shared_dir / "data/tut_rare_sample")
    assert found.notes == ("12 of 1500 mixtures present (0.8 %)",)
    assert len(found.missing) == 1488
    assert found.classes == ("babycry", "glassbreak", "gunshot")
    clips = {clip.source_id.rsplit("_", 1)[0]: clip for clip in found.clips}
    glass = clips["mixture_evaltest_glassbreak_000"]
    assert glass.events == (Event(0.0623566159524, 0.762356615952, "glassbreak"),)
    assert (glass.meta["scene"], glass.meta["ebr_db"]) == ("beach", 6.0)
    assert glass.meta["annotation"].endswith("\tglassbreak")
    assert glass.recording == "audio/156.wav"
    silent = clips["mixture_evaltest_babycry_000"]
    assert silent.events == ()
    assert "ebr_db" not in silent.meta
