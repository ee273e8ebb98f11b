"""One's own folder: subsets, tables of three kinds, and what is missing or too much."""

from pathlib import Path

import pytest
from packing import pack, write_noise

from shards.clip import Clip, Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing


def listing(root: Path) -> SourceListing:
    return SOURCES["folder"](Store.local(root), {})


def make(root: Path, *names: str, **tables: str) -> None:
    """Empty audio files and tables (`weak="..."` writes weak.tsv)."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    for name, text in tables.items():
        (root / f"{name}.tsv").write_text(text, encoding="utf-8")


def by_id(found: SourceListing) -> dict[str, Clip]:
    return {clip.source_id: clip for clip in found.clips}


def test_all_kinds_of_subsets(tmp_path: Path) -> None:
    make(
        tmp_path,
        "strong/Y_0.000_10.000.flac",
        "strong/empty.wav",
        "weak/a.wav",
        "unlabelled/x/u.ogg",
        "val/v.wav",
        "loose.mp3",
        strong="filename\tonset\toffset\tevent_label\n"
        "Y_0.000_10.000.wav\t2.0\t3.5\tDog\nY_0.000_10.000.wav\t0\t1\tTür\nempty.wav\t\t\t\n",
        weak="filename\tevent_labels\trecording\tfold\na.wav\tDog,Cat\trec7\t3\n",
        val="filename\tonset\toffset\tevent_label\nv.wav\t0\t1\tCat\n",
    )
    found = listing(tmp_path)
    assert found.classes == ("Cat", "Dog", "Tür")
    assert found.missing == found.extra == ()
    clips = by_id(found)
    assert clips["strong/Y_0.000_10.000"].events == (Event(0.0, 1.0, "Tür"), Event(2.0, 3.5, "Dog"))
    assert clips["strong/Y_0.000_10.000"].audio == "strong/Y_0.000_10.000.flac"
    assert clips["strong/Y_0.000_10.000"].weak is None
    assert clips["strong/empty"].events == ()
    assert clips["weak/a"].weak == ("Dog", "Cat")
    assert (clips["weak/a"].recording, clips["weak/a"].fold) == ("rec7", 3)
    assert clips["val/v"].subset == "validation"
    for unlabelled in ("unlabelled/x/u", "loose"):
        clip = clips[unlabelled]
        assert (clip.subset, clip.weak, clip.events) == ("unlabeled", None, None)


def test_missing_and_extra_audio_is_counted(tmp_path: Path) -> None:
    make(
        tmp_path,
        "validation/a.wav",
        "validation/extra.wav",
        validation="filename\tonset\toffset\tevent_label\na.wav\t0\t1\tDog\nb.wav\t0\t1\tDog\n",
    )
    found = listing(tmp_path)
    assert [clip.source_id for clip in found.clips] == ["validation/a"]
    assert found.missing == ("validation/b.wav",)
    assert found.extra == ("validation/extra.wav",)
    assert found.notes == (
        "validation: 1 of 2 listed clips present (50.0 %)",
        "validation: 1 audio files left out, validation.tsv does not list them",
    )


def test_class_folders_are_weak_labels(tmp_path: Path) -> None:
    make(tmp_path, "train/dog/a.wav", "train/cat/deep/b.wav", "test/dog/c.wav", "unlabeled/x/d.wav")
    found = listing(tmp_path)
    assert {clip.source_id: (clip.subset, clip.weak) for clip in found.clips} == {
        "train/dog/a": ("weak", ("dog",)),
        "train/cat/deep/b": ("weak", ("cat",)),
        "test/dog/c": ("test", ("dog",)),
        "unlabeled/x/d": ("unlabeled", None),
    }


@pytest.mark.parametrize(
    ("columns", "row", "subset"),
    [
        ("filename\tonset\toffset\tevent_label", "a.wav\t0\t1\tx", "strong"),
        ("filename\tevent_labels", "a.wav\tx", "weak"),
        ("filename", "a.wav", "unlabeled"),
    ],
)
def test_train_is_what_its_table_says(tmp_path: Path, columns: str, row: str, subset: str) -> None:
    make(tmp_path, "train/a.wav", train=f"{columns}\n{row}\n")
    assert listing(tmp_path).clips[0].subset == subset


def test_a_table_in_the_metadata_folder_names_nested_files(tmp_path: Path) -> None:
    make(tmp_path, "weak/day1/a.wav", "weak/day2/a.wav", "weak/day2/b.wav", "metadata/weak.txt")
    table = tmp_path / "metadata/weak.csv"
    table.write_text("filename,event_labels\nday1/a.wav,x\nb,y\n")
    assert set(by_id(listing(tmp_path))) == {"weak/day1/a", "weak/day2/b"}
    table.write_text("filename,event_labels\na.wav,x\n")
    with pytest.raises(SourceError, match=r"a\.wav: names both weak/day1/a\.wav and weak/day2"):
        listing(tmp_path)


@pytest.mark.parametrize(
    ("names", "tables", "reason"),
    [
        ((), {}, "got no audio files"),
        (("weak/dog/a.wav", "dogs/a.wav"), {}, "folder 'dogs'; expected folders named strong"),
        (
            ("Validaton/a.wav",),
            {},
            "folder 'Validaton'; expected a class, or a folder named strong",
        ),
        (("strong/a.wav",), {}, "expected strong.tsv"),
        (("weak/a.wav",), {}, "no class folders"),
        (("weak/a.wav", "weak/dog/b.wav"), {}, "lies beside class folders"),
        (("a.wav",), {"weak": "filename\tevent_labels\na.wav\tx\n"}, "audio in weak/"),
        (("weak/a.wav",), {"weak": "filename\tevent_labels\nb.wav\tx\n"}, "none of its 1 files"),
        (("weak/a.wav",), {"weak": "filename\na.wav\n"}, "expected filename, event_labels"),
        (("strong/a.wav",), {"strong": "filename\tonset\na.wav\t1\n"}, "no column event_label"),
        (
            ("unlabeled/a.wav",),
            {"unlabeled": "filename\tevent_labels\na.wav\tx\n"},
            "expected filename for the subset unlabeled",
        ),
        (
            ("strong/a.wav",),
            {"strong": "filename\tonset\toffset\tevent_label\na.wav\tzero\t1\tx\n"},
            "got onset 'zero'",
        ),
        (
            ("weak/a.wav",),
            {"weak": "filename\tevent_labels\tfold\na.wav\tx\t1\na.wav\ty\t2\n"},
            "got the fold values 1, 2; expected one",
        ),
        (
            ("weak/a.wav",),
            {"weak": "filename\tevent_labels\tfold\na.wav\tx\tone\n"},
            "got 'one'; expected a whole number",
        ),
    ],
)
def test_what_cannot_be_meant(
    tmp_path: Path, names: tuple[str, ...], tables: dict[str, str], reason: str
) -> None:
    make(tmp_path, *names, **tables)
    with pytest.raises(SourceError) as caught:
        listing(tmp_path)
    assert reason in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_tables_and_tables_of_no_subset(tmp_path: Path) -> None:
    make(tmp_path, "weak/dog/a.wav", durations="filename\tduration\na.wav\t1\n")
    assert "not used, since in no format of annotations: durations.tsv" in listing(tmp_path).notes
    for suffix in ("tsv", "csv"):
        (tmp_path / f"weak.{suffix}").write_text("filename\n")
    with pytest.raises(SourceError, match=r"two tables, weak\.csv and weak\.tsv"):
        listing(tmp_path)


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    header, *rows = (
        "filename\tonset\toffset\tevent_label",
        "a.wav\t2\t3\tDog",
        "b.wav\t0\t1\tCat",
        "a.wav\t0\t1\tCat",
        "a.wav\t0\t1\tBird",
    )
    make(tmp_path, "strong/a.wav", "strong/b.wav", strong="\n".join([header, *rows]))
    before = by_id(listing(tmp_path))
    make(tmp_path, strong="\n".join([header, *rows[::-1]]))
    assert by_id(listing(tmp_path)) == before


def test_published_desed_tables(shared_dir: Path, tmp_path: Path) -> None:
    """The real validation table with stand-ins for its audio, which is not public."""
    table = (shared_dir / "data/desed_meta/validation.tsv").read_text()
    lines = [line.split("\t") for line in table.splitlines()[1:]]
    names = sorted({line[0] for line in lines})
    make(tmp_path, *(f"validation/{name}" for name in names[:-7]), validation=table)
    found = listing(tmp_path)
    assert len(found.clips) == 1161
    assert found.notes == ("validation: 1161 of 1168 listed clips present (99.4 %)",)
    assert len(found.classes or ()) == 10
    present = set(names[:-7])
    events = [line for line in lines if line[0] in present and line[3]]
    assert sum(len(clip.events or ()) for clip in found.clips) == len(events)
    assert sum(clip.events == () for clip in found.clips) > 0


def test_a_folder_packs(tmp_path: Path) -> None:
    write_noise(tmp_path / "in/weak/dog/a.wav")
    write_noise(tmp_path / "in/unlabeled/b.flac")
    dataset, _ = pack(tmp_path / "in", listing(tmp_path / "in").clips, tmp_path / "out")
    assert dataset.manifest.totals.subsets == {"unlabeled": 1, "weak": 1}
    assert {row.source_id: row.weak for row in dataset.rows} == {
        "weak/dog/a": ("dog",),
        "unlabeled/b": None,
    }


def test_rows_that_cannot_be_read_are_told_at_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        *(f"strong/{name}.wav" for name in "abc"),
        strong="filename\tonset\toffset\tevent_label\na.wav\tzero\t1\tx\nb.wav\t0\t1\tx\n"
        "b.wav\t1\t1_5\tx\nb.wav\t1\t2\t['Dog']\n",
    )
    with pytest.raises(SourceError, match="3 rows are wrong") as caught:
        listing(tmp_path)
    for said in ("row 2 (a.wav): got onset 'zero'", "row 5 (b.wav): got the label"):
        assert said in str(caught.value)


def test_one_name_for_a_class_with_a_comma(tmp_path: Path) -> None:
    name = "Male speech, man speaking"
    make(
        tmp_path,
        "strong/x.wav",
        "weak/a.wav",
        "weak/b.wav",
        strong=f"filename\tonset\toffset\tevent_label\nx.wav\t0\t1\t{name}\n",
    )
    (tmp_path / "weak.csv").write_text(f'filename,event_labels\na.wav,"{name}"\nb.wav,"{name},Dog"')
    found = listing(tmp_path)
    assert found.classes == ("Dog", name)
    assert by_id(found)["weak/b"].weak == (name, "Dog")
    assert not any("comma" in note for note in found.notes)
    (tmp_path / "strong.tsv").write_text("filename\tonset\toffset\tevent_label\nx.wav\t0\t1\tDog\n")
    found = listing(tmp_path)
    assert found.classes == ("Dog", "Male speech", "man speaking")
    assert any("2 cells such as 'Male speech, man speaking' are cut" in n for n in found.notes)


def test_cells_that_programs_leave_empty(tmp_path: Path) -> None:
    make(
        tmp_path,
        "strong/a.wav",
        "weak/b.wav",
        "weak/c.wav",
        strong="filename\tonset\toffset\tevent_label\na.wav\tnan\tNaN\tnan\n",
        weak="filename\tevent_labels\trecording\tfold\nb.wav\tnan\tNaN\tnan\nc.wav\tDog\t\t\n",
    )
    found = by_id(listing(tmp_path))
    assert found["strong/a"].events == ()
    assert (found["weak/b"].weak, found["weak/b"].recording, found["weak/b"].fold) == (
        (),
        None,
        None,
    )
    assert listing(tmp_path).classes == ("Dog",)
    [note] = [note for note in listing(tmp_path).notes if "none of the classes" in note]
    assert note.startswith("weak: 1 cells are taken as none of the classes ('nan' in row 2)")


def test_all_that_is_wrong_with_all_tables_is_told_at_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        *("strong/a.wav", "weak/b.wav", "weak/c.wav", "validation/d.wav"),
        strong="filename;onset;offset;event_label\n;0;1;x\na.wav;late;1;x\na.wav;0;1;x;y\n"
        + "a.wav;2;1;x\n"
        + "a.wav;1;2;x\n" * 20
        + 'a.wav;0;1;"x\n' * 20,
        weak="filename\tevent_labels\nb.wav\t['x']\nb.wav\t\"x\nc.wav\tx\n",
        validation="name\tonset\nd.wav\t0\n",
    )
    with pytest.raises(SourceError) as caught:
        listing(tmp_path)
    text = str(caught.value)
    assert text.startswith("3 faults: ")
    assert "strong.tsv: 24 rows are wrong: row 2: got no filename" in text
    for part in ("row 3 (a.wav): got onset 'late'", "row 4: got 5 cells", "and 4 more"):
        assert part in text
    assert "weak.tsv: 2 rows are wrong: row 2: got the label" in text
    assert "validation.tsv row 1: got the columns name, onset; expected also filename" in text
    assert "row 43:" not in text


def test_a_table_from_excel_and_paths_from_elsewhere(tmp_path: Path) -> None:
    make(tmp_path, "strong/sub/a.wav", "strong/b.wav")
    (tmp_path / "strong.csv").write_text(
        "\ufeffFilename;Onset;Offset;Event Label\r\nC:\\audio\\strong\\sub\\a.wav;0,5;1,25;Dog\r\n"
        f"{tmp_path}/strong/b.wav;1;2;Cat\r\n",
        newline="",
    )
    found = by_id(listing(tmp_path))
    assert found["strong/sub/a"].events == (Event(0.5, 1.25, "Dog"),)
    assert found["strong/b"].events == (Event(1.0, 2.0, "Cat"),)
