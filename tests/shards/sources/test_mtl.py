"""The MTL papers' mixtures: recipes, folds, and the same mixtures at several SNRs."""

from pathlib import Path

import pytest
import yaml

from shards.clip import Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["mtl"](Store.local(root), options)


def recipe(number: int, fold: int) -> dict[str, object]:
    events = [("19f45b13.wav", "Tambourine", 0.5), ("63874688.wav", "Scissors", 3.0)]
    events.append(("cd3e20ec.wav", "Tambourine", 5.5))
    return {
        "mixture_name": f"{number:05d}.wav",
        "fold": fold,
        "scene_audio_name": "audio/metro_station-barcelona-62-1861-a.wav",
        "events": [
            {"event_audio_name": name, "event_label": label, "onset": onset, "offset": onset + 1}
            for name, label, onset in events
        ],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "yaml_files").mkdir()
    write(tmp_path, [recipe(0, 1), recipe(1, 2)])
    for name in ("snr_0/00000.wav", "snr_20/00000.wav", "snr_20/00001.wav", "snr_20/00009.wav"):
        (tmp_path / "mixed_audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed_audio" / name).touch()
    return tmp_path


def write(root: Path, recipes: object) -> None:
    (root / "yaml_files/mixture.yaml").write_text(yaml.safe_dump(recipes))


def test_mixtures_at_each_snr(root: Path) -> None:
    found = listing(root)
    assert [clip.source_id for clip in found.clips] == [
        "snr_0/00000",
        "snr_20/00000",
        "snr_20/00001",
    ]
    clip = found.clips[2]
    assert (clip.subset, clip.fold, clip.weak) == ("weak", 2, ("Scissors", "Tambourine"))
    assert clip.events == (
        Event(0.5, 1.5, "Tambourine"),
        Event(3.0, 4.0, "Scissors"),
        Event(5.5, 6.5, "Tambourine"),
    )
    assert clip.recording == "metro_station-barcelona-62-1861-a"
    assert clip.meta == {
        "snr_db": 20,
        "scene": "metro_station",
        "event_sources": ["19f45b13.wav", "63874688.wav", "cd3e20ec.wav"],
    }
    assert found.missing == ("snr_0/00001",)
    assert found.extra == ("mixed_audio/snr_20/00009.wav",)
    assert found.notes[0] == "0 dB: 1 of 8000 mixtures present (0.0 %)"


def test_one_snr_and_the_mixing_tools_folders(root: Path) -> None:
    (root / "mixed_audio/snr_20").rename(root / "mixed_audio/scene_type=dcase2018,snr=20")
    found = listing(root, snr="20")
    assert [clip.source_id for clip in found.clips] == ["snr_20/00000", "snr_20/00001"]
    with pytest.raises(SourceError, match="got no mixtures at 10 dB; there are 0, 20"):
        listing(root, snr="10")
    with pytest.raises(SourceError, match="option snr: got 'loud'; expected a whole number"):
        listing(root, snr="loud")


def test_the_order_of_recipes_and_events_does_not_matter(root: Path) -> None:
    before = {clip.source_id: clip for clip in listing(root).clips}
    turned = [recipe(1, 2), recipe(0, 1)]
    for each in turned:
        each["events"] = list(reversed(each["events"]))  # type: ignore[call-overload]
    write(root, turned)
    assert {clip.source_id: clip for clip in listing(root).clips} == before


@pytest.mark.parametrize(
    ("recipes", "reason"),
    [
        ([{**recipe(0, 1), "fold": "one"}], "fold: got 'one'; expected a whole number"),
        ([{"mixture_name": "00000.wav"}], "got a mixture without fold"),
        ({"a": 1}, "expected a list of mixtures"),
        ([{**recipe(0, 1), "events": [{"event_label": "x"}]}], "got events without 'onset'"),
        ([recipe(7, 1)], "got none of the 1 mixtures of mixture.yaml, such as 00007"),
    ],
)
def test_doubtful_recipes(root: Path, recipes: object, reason: str) -> None:
    write(root, recipes)
    with pytest.raises(SourceError, match=reason) as caught:
        listing(root)
    assert "\n" not in str(caught.value)


def test_layouts_that_are_not_its(root: Path) -> None:
    (root / "mixed_audio/snr_0").rename(root / "mixed_audio/quiet")
    (root / "mixed_audio/snr_20").rename(root / "mixed_audio/loud")
    with pytest.raises(SourceError, match="got no folder such as snr_20, and audio such as mixed"):
        listing(root)
    (root / "yaml_files/mixture.yaml").unlink()
    with pytest.raises(SourceError, match=r"got 0 files mixture\.yaml; expected one"):
        listing(root)
