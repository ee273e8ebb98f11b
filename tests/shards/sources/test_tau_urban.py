"""TAU Urban Acoustic Scenes: the layouts of 2019 and 2020 Mobile, and evaluation sets."""

from pathlib import Path

import pytest
from packing import pack, write_noise

from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

HEADER = "filename\tscene_label\tidentifier\tsource_label\n"
ROWS = {
    "airport-lisbon-1000-40000-a": ("airport", "lisbon-1000", "a"),
    "airport-lisbon-1000-40001-a": ("airport", "lisbon-1000", "a"),
    "street_pedestrian-milan-1123-43210-s1": ("street_pedestrian", "milan-1123", "s1"),
    "street_pedestrian-milan-1123-43211-b": ("street_pedestrian", "milan-1123", "b"),
    "tram-vienna-75-2100-a": ("tram", "vienna-75", "a"),
}


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["tau_urban"](Store.local(root), options)


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def development(root: Path, separator: str = "\t") -> Path:
    """A development set; one listed clip is missing, one file is not listed."""
    table = HEADER + "".join(
        f"audio/{name}.wav\t{scene}\t{place}\t{device}\n"
        for name, (scene, place, device) in ROWS.items()
    )
    write(root / "meta.csv", table.replace("\t", separator))
    for name in [*list(ROWS)[:-1], "bus-lyon-1-1-a"]:
        write(root / f"audio/{name}.wav")
    setup = root / "evaluation_setup"
    write(
        setup / "fold1_train.csv",
        "filename\tscene_label\naudio/airport-lisbon-1000-40000-a.wav\tairport\n",
    )
    tested = "audio/street_pedestrian-milan-1123-43210-s1.wav"
    write(setup / "fold1_evaluate.csv", f"filename\tscene_label\n{tested}\tstreet_pedestrian\n")
    write(setup / "fold1_test.csv", f"filename\n{tested}\n")
    return root


@pytest.mark.parametrize("folder", ["", "TAU-urban-acoustic-scenes-2020-mobile-development"])
@pytest.mark.parametrize("separator", ["\t", ","])
def test_development_set(tmp_path: Path, folder: str, separator: str) -> None:
    development(tmp_path / folder, separator)
    found = listing(tmp_path)
    assert found.classes == ("airport", "street_pedestrian")
    assert found.missing == ("audio/tram-vienna-75-2100-a.wav",)
    assert [name.split("/")[-1] for name in found.extra] == ["bus-lyon-1-1-a.wav"]
    assert found.notes == ("4 of 5 clips present (80.0 %)",)
    first, second, tested, beside = found.clips
    assert first.source_id == "airport-lisbon-1000-40000-a"
    assert (first.weak, first.recording, first.events) == (("airport",), "lisbon-1000", None)
    assert first.meta == {"scene": "airport", "city": "lisbon", "device": "a"}
    assert [clip.subset for clip in (first, second)] == ["weak", "weak"]
    # The second clip of a place that is tested is in neither list: it must not be trained on.
    assert [clip.subset for clip in (tested, beside)] == ["validation", "validation"]
    assert (tested.meta["device"], beside.meta["device"]) == ("s1", "b")


def test_one_device(tmp_path: Path) -> None:
    development(tmp_path)
    assert [clip.meta["device"] for clip in listing(tmp_path, device="a").clips] == ["a", "a"]
    with pytest.raises(SourceError, match="no clips of the device 'd'; there are a, b, s1"):
        listing(tmp_path, device="d")


def test_no_split_trains_on_all(tmp_path: Path) -> None:
    development(tmp_path)
    for path in (tmp_path / "evaluation_setup").iterdir():
        path.unlink()
    assert {clip.subset for clip in listing(tmp_path).clips} == {"weak"}


def test_evaluation_set_without_scenes(tmp_path: Path) -> None:
    write(tmp_path / "evaluation_setup/test.csv", "filename\naudio/0.wav\naudio/1.wav\n")
    write(tmp_path / "audio/0.wav")
    found = listing(tmp_path)
    assert (found.classes, found.missing) == (None, ("audio/1.wav",))
    (clip,) = found.clips
    assert (clip.source_id, clip.subset, clip.weak, clip.meta) == ("0", "test", None, {})


def test_bad_tables(tmp_path: Path) -> None:
    write(tmp_path / "audio/x.wav")
    with pytest.raises(SourceError, match=r"neither meta\.csv nor evaluation_setup/test\.csv"):
        listing(tmp_path)
    write(tmp_path / "meta.csv", "filename\tscene\nx\ty\n")
    with pytest.raises(SourceError, match="expected also scene_label, identifier, source_label"):
        listing(tmp_path)
    write(tmp_path / "meta.csv", HEADER + "audio/y.wav\tbus\tlyon-1\ta\n")
    with pytest.raises(SourceError, match=r"none of the 1 listed clips, such as 'audio/y\.wav'"):
        listing(tmp_path)
    write(tmp_path / "meta.csv", HEADER + "audio/x.wav\tbus\tlyon-1\ta\n")
    with pytest.raises(SourceError, match=r"audio/x\.wav: got the scene 'bus'; expected a name"):
        listing(tmp_path)
    development(tmp_path / "second")
    with pytest.raises(SourceError, match="expected one set"):
        listing(tmp_path)


def test_a_clip_for_training_and_testing_is_refused(tmp_path: Path) -> None:
    development(tmp_path)
    listed = "filename\naudio/airport-lisbon-1000-40000-a.wav\n"
    write(tmp_path / "evaluation_setup/fold1_test.csv", listed)
    with pytest.raises(SourceError, match="is for training and for testing"):
        listing(tmp_path)


def test_packs(tmp_path: Path) -> None:
    development(tmp_path / "set")
    for path in (tmp_path / "set/audio").iterdir():
        write_noise(path, channels=2)
    dataset, _ = pack(tmp_path / "set", listing(tmp_path / "set").clips, tmp_path / "out")
    rows = {row.source_id: row for row in dataset.rows}
    assert len(rows) == 4
    assert rows["airport-lisbon-1000-40000-a"].weak == ("airport",)
