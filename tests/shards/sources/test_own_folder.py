"""Recordings as people have them: annotations beside some, in any format, folders of classes."""

from collections import Counter
from pathlib import Path

import pytest
from annotation_examples import EXAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.annotations.event import AnnotatedFile, SoundEvent
from shards.annotations.registry import FORMATS, write
from shards.clip import Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing
from shards.sources.own_folder.annotations import NamedAfter, annotations_below
from shards.sources.own_folder.splits import split

DOG = (Event(0.5, 1.25, "dog"),)


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["folder"](Store.local(root), options)


def make(root: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def in_format(name: str, file: str) -> bytes:
    event = SoundEvent(onset_s=0.5, offset_s=1.25, label="dog", score=0.5)
    return b"".join(write([AnnotatedFile(file=file, events=(event,), duration_s=2)], FORMATS[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_any_format_beside_a_recording_makes_it_strong(tmp_path: Path, name: str) -> None:
    suffix = FORMATS[name].suffix
    make(
        tmp_path,
        **{"x/day.1.wav": "", "y.wav": "", f"x/day.1{suffix}": in_format(name, "day.1.wav")},
    )
    clips = {clip.source_id: clip for clip in listing(tmp_path).clips}
    assert (clips["x/day.1"].subset, clips["x/day.1"].events) == ("strong", DOG)
    assert (clips["y"].subset, clips["y"].events) == ("unlabeled", None)


def test_formats_are_mixed_and_recognised_by_content(tmp_path: Path) -> None:
    """Names ending in .txt all: Audacity, Raven, a DESED table of two files, and a free text."""
    make(
        tmp_path,
        **{f"{name}.wav": "" for name in "abcdef"},
        **{
            "c.txt": EXAMPLES["audacity"],
            "d.Table.1.selections.txt": EXAMPLES["raven"],
            "events.txt": EXAMPLES["tsv"],  # of a.wav, and b.wav without events
            "e.txt": "",
            "notes.txt": "rain in the morning",
            "gone.txt": EXAMPLES["audacity"],
        },
    )
    found = listing(tmp_path, validation="0", test="0")
    assert {clip.source_id: clip.events for clip in found.clips} == {
        **dict.fromkeys("acd", DOG),
        **{"b": (), "e": ()},
        "f": None,
    }
    assert found.missing == ("gone",)
    assert found.notes[0] == ("annotations of 5 recordings, in files: 3 audacity, 1 raven, 1 tsv")
    assert found.notes[1] == "not used, since in no format of annotations: notes.txt"
    assert {clip.subset for clip in found.clips if clip.events is not None} == {"strong"}


def test_what_two_files_say_of_a_recording_is_put_together(tmp_path: Path) -> None:
    make(
        tmp_path,
        **{"a.wav": "", "a.txt": EXAMPLES["audacity"], "a.selections.txt": EXAMPLES["raven"]},
        **{"a.TextGrid": in_format("textgrid", "a.wav"), "a.rttm": "2 3 cat"},
    )
    (tmp_path / "a.rttm").write_text("SPEAKER a 1 2.0 1.0 <NA> <NA> cat <NA> <NA>\n")
    clips = listing(tmp_path).clips
    assert [clip.events for clip in clips] == [(*DOG, Event(2.0, 3.0, "cat"))]


def test_annotations_that_cannot_be_read_stop_or_are_listed(tmp_path: Path) -> None:
    make(tmp_path, **{"a.wav": "", "a.txt": "0.5\t1.0\tdog\nand so on\n", "b.wav": ""})
    found = listing(tmp_path)
    assert [name for name, _ in found.unusable] == ["a.txt"]
    assert "a.txt line 2" in found.unusable[0].reason


@pytest.mark.parametrize("name", FORMATS)
def test_what_programs_write_for_a_missing_label_is_no_class(tmp_path: Path, name: str) -> None:
    event = SoundEvent(onset_s=0.5, offset_s=1.25, label="nan")
    file = AnnotatedFile(file="a.wav", events=(event,), duration_s=2)
    data = b"".join(write([file], FORMATS[name]))
    make(tmp_path, **{"a.wav": "", f"a{FORMATS[name].suffix}": data})
    found = listing(tmp_path)
    assert found.classes is None
    [(_, reason)] = found.unusable
    assert "'nan'" in reason


def test_annotated_recordings_are_in_the_folders_of_subsets(tmp_path: Path) -> None:
    make(
        tmp_path,
        **{"strong/a.wav": "", "strong/a.txt": EXAMPLES["audacity"], "strong/extra.wav": ""},
        **{"val/b.wav": "", "val/b.txt": "", "train/c.wav": "", "train/c.txt": EXAMPLES["raven"]},
        **{"train/dog/d.wav": "", "weak/cat/e.wav": "", "weak/cat/e.txt": EXAMPLES["audacity"]},
        **{"loose.wav": "", "loose.txt": EXAMPLES["audacity"]},
    )
    found = listing(tmp_path)
    assert {clip.source_id: (clip.subset, clip.weak, clip.events) for clip in found.clips} == {
        "strong/a": ("strong", None, DOG),
        "val/b": ("validation", None, ()),
        "train/c": ("strong", None, DOG),
        "train/dog/d": ("weak", ("dog",), None),
        "weak/cat/e": ("weak", ("cat",), None),
        "loose": ("strong", None, DOG),
    }
    assert found.extra == ("strong/extra.wav",)
    assert "annotations of 1 recordings are not used" in found.notes[-1]
    with pytest.raises(SourceError, match="has folders for validation: leave it out"):
        listing(tmp_path, seed="1")


def test_folders_are_classes_unless_somebody_annotated_in_them(tmp_path: Path) -> None:
    make(
        tmp_path,
        **{"audio/dog/a.wav": "", "rain/deep/b.wav": "", "unlabelled/c/d.wav": "", "e.wav": ""},
        **{"site/f.wav": "", "site/f.txt": EXAMPLES["audacity"], "site/g.wav": ""},
    )
    found = listing(tmp_path)
    assert {clip.source_id: (clip.subset, clip.weak) for clip in found.clips} == {
        "audio/dog/a": ("weak", ("dog",)),
        "rain/deep/b": ("weak", ("rain",)),
        "unlabelled/c/d": ("unlabeled", None),
        "e": ("unlabeled", None),
        "site/f": ("strong", None),
        "site/g": ("unlabeled", None),
    }
    assert found.notes[-1] == "weak labels from the names of folders: dog (1), rain (1)"


def test_a_split_is_seeded_and_told(tmp_path: Path) -> None:
    names = [f"r{number}" for number in range(20)]
    for name in names:
        make(tmp_path, **{f"{name}.wav": "", f"{name}.txt": EXAMPLES["audacity"]})
    subsets = [
        {clip.source_id: clip.subset for clip in listing(tmp_path, seed=str(seed)).clips}
        for seed in (0, 0, 1)
    ]
    assert subsets[0] == subsets[1] != subsets[2]
    assert Counter(subsets[0].values()) == {"strong": 12, "validation": 4, "test": 4}
    assert (
        "by seed 0, each whole in one subset: 12 strong, 4 validation, 4 test"
        in listing(tmp_path).notes[-1]
    )
    everything = listing(tmp_path, validation="0", test="0")
    assert {clip.subset for clip in everything.clips} == {"strong"}
    for wrong in ({"test": "x"}, {"test": "0.9"}, {"test": "-1"}, {"tset": "0.1"}):
        with pytest.raises(SourceError, match="source folder"):
            listing(tmp_path, **wrong)


@settings(max_examples=60)
@given(
    labels=st.dictionaries(
        st.text("abcdef", min_size=1, max_size=4), st.sets(st.sampled_from("xyz"))
    ),
    seed=st.integers(0, 9),
)
def test_every_recording_is_in_one_subset(labels: dict[str, set[str]], seed: int) -> None:
    given_ = split(labels, seed, {"validation": 0.2, "test": 0.2})
    assert given_.keys() == labels.keys()
    assert split(dict(reversed(labels.items())), seed, {"validation": 0.2, "test": 0.2}) == given_
    counts = Counter(given_.values())
    if len(labels) >= 3:
        assert set(counts) == {"strong", "validation", "test"}


def test_a_split_has_every_class_in_each_subset_that_has_enough() -> None:
    """With a common class and a rare one, where chance alone would often lose the rare one."""
    labels = {f"common{n}": {"common"} for n in range(95)} | {
        f"rare{n}": {"rare"} for n in range(5)
    }
    for seed in range(20):
        found = split(labels, seed, {"validation": 0.2, "test": 0.2})
        rare = Counter(subset for name, subset in found.items() if name.startswith("rare"))
        assert rare == {"strong": 3, "validation": 1, "test": 1}


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("day.txt", "day.wav"),
        ("day.wav.txt", "day.wav"),
        ("day.1.txt", "day.1.flac"),
        ("day.Table.1.selections.txt", "day.wav"),
        ("labels/other.txt", "x/other.wav"),
        ("day_labels.txt", "day.wav"),
        ("x/day Label Track.txt", "x/day.wav"),
        ("x/day-annotations.Table.1.selections.txt", "x/day.wav"),
        ("takes_labels.txt", "takes_labels.wav"),  # a recording of that very name comes first
        ("labels.txt", None),
        ("x/day.txt", "x/day.wav"),
        ("twice.txt", None),
        ("daylight.txt", None),
    ],
)
def test_what_a_file_is_named_after(name: str, recording: str | None) -> None:
    audio = ["day.wav", "day.1.flac", "x/day.wav", "x/other.wav", "y/twice.wav", "z/twice.wav"]
    audio += ["takes.wav", "takes_labels.wav"]
    assert NamedAfter(audio).find(name) == recording


def test_a_renamed_recording_keeps_the_table_beside_it(tmp_path: Path) -> None:
    make(tmp_path, **{"new.wav": "", "new.jams": in_format("jams", "old.wav")})
    assert annotations_below(Store.local(tmp_path), ["new.wav"]).events == {"new.wav": DOG}
