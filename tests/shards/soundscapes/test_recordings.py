import numpy as np
import pytest

from shards.audio.encoding import encode
from shards.io.store import Store
from shards.soundscapes.recordings import (
    Recording,
    RecordingError,
    class_folders,
    part_backgrounds,
    recordings_from_csv,
    split_by_csv,
    split_by_fold,
    split_by_source,
)

FOLDS = {"train": ["1", "2", "3"], "validation": ["4"], "test": ["5"]}
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
SOUND = encode(np.full(100, 0.1, np.float32), 8_000, "wav")


def store_with(folder, names):
    store = Store.local(folder)
    for name in names:
        store.write(name, SOUND)
    return store


def made_up(classes=3, per_class=12, takes=2):
    return [
        Recording(name=f"f/{c}/{s}-{t}.wav", label=f"c{c}", source=f"{c}-{s}")
        for c in range(classes)
        for s in range(per_class)
        for t in range(takes)
    ]


def sources(recordings):
    return {recording.source for recording in recordings}


def test_class_folders_read_fold_and_source_from_names_like_esc50s(tmp_path):
    names = ["dog/1-100032-A.wav", "dog/2-100032-B-0.wav", "cat/tabby.wav", "cat/notes.txt"]
    found = class_folders(store_with(tmp_path, names), "audio")
    assert found == [
        Recording(name="audio/cat/tabby.wav", label="cat", source="audio/cat/tabby"),
        Recording(name="audio/dog/1-100032-A.wav", label="dog", source="100032", fold="1"),
        Recording(name="audio/dog/2-100032-B-0.wav", label="dog", source="100032", fold="2"),
    ]


def test_a_name_rule_of_ones_own_must_match_every_name(tmp_path):
    store = store_with(tmp_path, ["frog/siteA_003.wav", "frog/siteB_001.wav"])
    found = class_folders(store, "f", name_rule=r"(?P<source>site.)_\d+")
    assert [recording.source for recording in found] == ["siteA", "siteB"]
    with pytest.raises(RecordingError, match=r"siteA_003\.wav: its name does not match"):
        class_folders(store, "f", name_rule=r"(?P<source>siteB)_\d+")


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no audio found"),
        (["dog/readme.txt"], "no audio found"),
        (["dog/a.wav", "cat/readme.txt"], "cat: a class folder without audio"),
        (["a.wav", "dog/a.wav"], "audio in no class folder"),
        (["dog,wolf/a.wav"], "expected one without commas"),
    ],
)
def test_folders_that_hold_no_classes_are_one_line_errors(tmp_path, names, reason):
    with pytest.raises(RecordingError, match=reason) as error:
        class_folders(store_with(tmp_path, names), "f")
    assert "\n" not in str(error.value)


def test_a_flat_folder_of_backgrounds_has_one_label(tmp_path):
    found = class_folders(store_with(tmp_path, ["a.wav", "b.wav", "x.txt"]), "b", flat_label="room")
    assert [recording.label for recording in found] == ["room", "room"]


def test_esc50s_own_layout_is_read_by_its_table(tmp_path):
    store = store_with(tmp_path, ["audio/1-17-A-0.wav", "audio/5-18-A-3.wav"])
    table = b"filename,fold,target,category,esc10\n1-17-A-0.wav,1,0,dog,True\n"
    store.write("meta/esc50.csv", table + b"5-18-A-3.wav,5,3,cow,False\n")
    everything = recordings_from_csv(store, "meta/esc50.csv", "esc")
    assert [(r.label, r.source, r.fold) for r in everything] == [
        ("dog", "17", "1"),
        ("cow", "18", "5"),
    ]
    assert everything[0].name == "esc/audio/1-17-A-0.wav"
    assert recordings_from_csv(store, "meta/esc50.csv", "esc", esc10_only=True) == everything[:1]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (b"filename,category\n", "no recordings"),
        (b"name,category\na.wav,dog\n", "no value for 'filename'"),
        (b"filename,category\nb.wav,dog\n", "'b.wav' is not in"),
        (b"filename,category\na.wav,dog\na.wav,dog\n", "listed twice"),
    ],
)
def test_bad_tables_are_one_line_errors(tmp_path, table, reason):
    store = store_with(tmp_path, ["audio/a.wav"])
    store.write("list.csv", table)
    with pytest.raises(RecordingError, match=reason) as error:
        recordings_from_csv(store, "list.csv", "x")
    assert "list.csv" in str(error.value) and "\n" not in str(error.value)


def test_esc10_by_folder_and_by_table_are_the_same(shared_dir):
    root = Store.local(shared_dir / "data/esc10")
    by_folder = class_folders(root.child("audio"), "audio")
    by_table = recordings_from_csv(root, "esc10.csv", "x")
    assert len(by_folder) == 400
    assert [(r.label, r.source, r.fold) for r in by_folder] == [
        (r.label, r.source, r.fold) for r in by_table
    ]
    foregrounds, backgrounds = part_backgrounds(by_folder, ["rain", "sea_waves"])
    assert (len(foregrounds), len(backgrounds)) == (320, 80)
    splits = split_by_fold(by_folder, FOLDS)
    assert {split: len(members) for split, members in splits.items()} == {
        "train": 240,
        "validation": 80,
        "test": 80,
    }
    with pytest.raises(RecordingError, match="expected some of baby_cry"):
        part_backgrounds(by_folder, ["wind"])


@pytest.mark.parametrize("seed", range(5))
def test_sources_are_shared_out_and_never_shared_between_splits(seed):
    recordings = made_up()
    splits = split_by_source(recordings, SHARES, seed)
    assert sum(map(len, splits.values())) == len(recordings)
    assert not sources(splits["train"]) & sources(splits["test"])
    assert not sources(splits["train"]) & sources(splits["validation"])
    assert not sources(splits["validation"]) & sources(splits["test"])
    for label in ("c0", "c1", "c2"):
        counts = [len(sources(r for r in splits[s] if r.label == label)) for s in SHARES]
        assert counts[0] in (7, 8) and min(counts) >= 2
    assert splits == split_by_source(reversed(recordings), SHARES, seed)


def test_another_seed_makes_another_split():
    assert split_by_source(made_up(), SHARES, 0) != split_by_source(made_up(), SHARES, 1)


def test_a_source_of_two_classes_stays_in_one_split():
    recordings = made_up()
    recordings += [Recording(name=f"f/x/{s}.wav", label="x", source=f"0-{s}") for s in range(12)]
    splits = split_by_source(recordings, SHARES, 0)
    assert not sources(splits["train"]) & sources(splits["test"])


def test_too_few_sources_for_the_splits_are_an_error():
    with pytest.raises(RecordingError, match="class 'c0': got 2 source recordings"):
        split_by_source(made_up(per_class=2), SHARES, 0)
    with pytest.raises(RecordingError, match="expected positive numbers"):
        split_by_source(made_up(), {"train": 1.0, "test": 0.0}, 0)


def test_a_source_in_two_folds_or_two_rows_of_a_table_is_an_error():
    cuts = [
        Recording(name=f"f/dog/{fold}.wav", label="dog", source="17", fold=fold) for fold in "15"
    ]
    with pytest.raises(RecordingError, match="source '17' is in the splits 'train' and 'test'"):
        split_by_fold(cuts, FOLDS)
    table = b"filename,split\nf/dog/1.wav,train\nf/dog/5.wav,test\n"
    with pytest.raises(RecordingError, match="source '17' is in the splits"):
        split_by_csv(cuts, table, "splits.csv")


def test_a_table_of_splits_must_name_every_recording_and_no_other():
    recordings = made_up(classes=1, per_class=2, takes=1)
    both = b"filename,split\nf/0/0-0.wav,train\nf/0/1-0.wav,test\n"
    splits = split_by_csv(recordings, both, "splits.csv")
    assert splits == {"train": recordings[:1], "test": recordings[1:]}
    with pytest.raises(RecordingError, match=r"splits\.csv: no split for 'f/0/1-0\.wav'"):
        split_by_csv(recordings, both[:-20], "splits.csv")
    with pytest.raises(RecordingError, match=r"'other\.wav': no recording"):
        split_by_csv(recordings, both + b"other.wav,test\n", "splits.csv")


def test_recordings_without_folds_cannot_be_split_by_fold():
    with pytest.raises(RecordingError, match="no fold is known"):
        split_by_fold(made_up(), FOLDS)
