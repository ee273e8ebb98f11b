"""New labels over the same clips, and words for those that do not fit."""

import pytest
from index_rows import index_row

from shards.clip import ClipError, Event
from shards.editing.relabel import (
    RelabelError,
    RelabelSettings,
    by_clip,
    class_list,
    with_labels,
    with_mapping,
    with_subsets,
)
from shards.sources._tables import SourceError

ROWS = [
    index_row("a/1.5.wav", weak=("Dog", "Cat"), events=(Event(0, 0.5, "Dog"),)),
    index_row("a/2.wav", weak=("Speech",)),
    index_row("a/3.wav"),
]


def test_clips_are_found_with_and_without_folders_and_suffix() -> None:
    table = [{"filename": name} for name in ("1.5.flac", "a/2.wav", "a/3", "gone.wav")]
    found, missing = by_clip(ROWS, table)
    assert list(found) == [row.source_id for row in ROWS]
    assert missing == ["gone.wav"]
    with pytest.raises(RelabelError, match=r"no clip.*'x\.wav', expected such as 'a/1\.5\.wav'"):
        by_clip(ROWS, [{"filename": "x.wav"}])


def test_strong_labels_replace_all_labels() -> None:
    empty = {"filename": "2", "onset": "", "offset": "", "event_label": ""}
    table = [
        {"filename": "1.5", "onset": "0.5", "offset": "0.9", "event_label": "b"},
        {"filename": "1.5", "onset": "0.1", "offset": "1.2", "event_label": "a"},
        empty,
    ]
    listed, _ = by_clip(ROWS, table)
    rows = with_labels(ROWS, listed, RelabelSettings(subset="strong"))
    assert [row.events for row in rows] == [(Event(0.1, 1.0, "a"), Event(0.5, 0.9, "b")), (), None]
    assert [row.weak for row in rows] == [None, None, None]
    assert [row.subset for row in rows] == ["strong", "strong", "weak"]
    assert with_labels(ROWS, listed, RelabelSettings(others="keep"))[2] == ROWS[2]
    assert len(with_labels(ROWS, listed, RelabelSettings(others="drop"))) == 2


def test_weak_labels_and_tables_that_do_not_fit() -> None:
    [row, *_] = with_labels(
        ROWS, {"a/1.5.wav": [{"filename": "1.5", "event_labels": "x, y,x"}]}, RelabelSettings()
    )
    assert (row.weak, row.events) == (("x", "y"), None)
    with pytest.raises(SourceError, match="expected filename, onset"):
        with_labels(ROWS, {"a/2.wav": [{"filename": "2", "label": "x"}]}, RelabelSettings())
    late = {"filename": "2", "onset": "3", "offset": "4", "event_label": "x"}
    with pytest.raises(ClipError, match=r"a/2\.wav.*ends at 1\.000 s"):
        with_labels(ROWS, {"a/2.wav": [late]}, RelabelSettings())


def test_an_ontology() -> None:
    table = [
        {"old": "Dog", "new": "Animal"},
        {"old": "Cat", "new": "Animal"},
        {"old": "Cat", "new": "Pet"},
        {"old": "Speech", "new": ""},
    ]
    rows = with_mapping(ROWS, table, RelabelSettings())
    assert [row.weak for row in rows] == [("Animal", "Pet"), (), None]
    assert rows[0].events == (Event(0, 0.5, "Animal"),)
    with pytest.raises(RelabelError, match=r"lacks 1 labels.*'Speech'.*--unmapped"):
        with_mapping(ROWS, table[:3], RelabelSettings())
    kept = with_mapping(ROWS, table[:3], RelabelSettings(unmapped="keep"))
    assert kept[1].weak == ("Speech",)
    assert with_mapping(ROWS, table[:3], RelabelSettings(unmapped="drop"))[1].weak == ()


def test_subsets_and_folds() -> None:
    table = {"a/2.wav": [{"filename": "2", "subset": "test", "fold": "4"}]}
    rows = with_subsets(ROWS, table)
    assert [(row.subset, row.fold) for row in rows] == [("weak", None), ("test", 4), ("weak", None)]
    with pytest.raises(SourceError, match="expected a whole number"):
        with_subsets(ROWS, {"a/2.wav": [{"fold": "x"}]})


def test_the_class_list() -> None:
    assert class_list(ROWS, None, None) == ("Cat", "Dog", "Speech")
    assert class_list(ROWS, None, ("Speech", "Dog", "Cat", "Rain"))[3] == "Rain"
    assert class_list(ROWS, ("Speech", "Cat", "Dog"), None) == ("Speech", "Cat", "Dog")
    assert class_list([ROWS[2]], None, None) is None
    with pytest.raises(RelabelError, match=r"1 labels.*'Speech' \(nearest: 'Speach'\) \(1 clips\)"):
        class_list(ROWS, ("Speach", "Cat", "Dog"), None)
    with pytest.raises(RelabelError, match=r"'Dog' \(nearest: 'dog'\)"):
        class_list(ROWS, ("dog", "Cat", "Speech"), None)
    with pytest.raises(RelabelError, match="'a' is given twice"):
        class_list(ROWS, ("a", "a"), None)
