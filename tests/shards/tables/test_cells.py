"""Cells: labels with commas, cells of programs that hold nothing, times and numbers."""

import math

import pytest

from shards.clip import Event
from shards.errors import SourceError
from shards.tables.cells import event, integer, label_of, labels_of, split_labels
from shards.tables.commas import cut_at_commas, with_commas
from shards.tables.rows import Row

SPEECH = "Male speech, man speaking"


def test_labels_that_hold_commas_stay_whole_where_they_are_known() -> None:
    assert split_labels(f"Dog,{SPEECH} , Cat", {SPEECH}) == ("Dog", SPEECH, "Cat")
    assert split_labels("Male speech,man speaking", {SPEECH}) == (SPEECH,)
    assert split_labels("a,b,c", {"a, b", "a, b, c"}) == ("a, b, c",)
    assert split_labels("a,b,c,a", {"a, b"}) == ("a, b", "c", "a")
    assert split_labels(SPEECH) == ("Male speech", "man speaking")


def test_strong_tables_and_lists_tell_labels_with_commas() -> None:
    strong = [Row({"event_label": SPEECH}), Row({"event_label": "Dog"})]
    listed = [Row({"event_labels": "a, b,c"}, lists={"event_labels": ("a, b", "c")})]
    assert with_commas([strong, listed]) == {SPEECH, "a, b"}
    weak = [Row({"event_labels": cell}) for cell in (SPEECH, "x, y", f"{SPEECH}, Dog", "x,y")]
    assert cut_at_commas(weak, {SPEECH}) == ["x, y"]
    assert cut_at_commas(listed, ()) == []


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "N/A", "None", "null", "<NA>", "#N/A"])
def test_empty_cells_of_programs_are_no_classes(cell: str) -> None:
    assert label_of(cell, "x") == ""
    assert labels_of(cell, "x") == ()
    assert labels_of(f"Dog,{cell}", "x") == ("Dog",)


@pytest.mark.parametrize("cell", ["['Dog']", '["Dog", "Cat"]', "['Dog' 'Cat']", "[]", "{'Dog'}"])
def test_lists_of_programs_are_no_classes(cell: str) -> None:
    for read in (label_of, labels_of):
        with pytest.raises(SourceError, match=r"row 7.*expected plain labels"):
            read(cell, "t.tsv row 7")


def test_quotes_between_commas_make_no_class() -> None:
    for cell in ('Dog, "barking"', '"Dog",Cat'):
        with pytest.raises(SourceError, match=r"row 7: got the labels .*quotes"):
            labels_of(cell, "t.csv row 7")
    assert labels_of('Dog, "barking",Cat', "x", {'Dog, "barking"'}) == ('Dog, "barking"', "Cat")
    assert labels_of('"Dog"', "x") == ('"Dog"',)
    assert labels_of('12" drum,Cat', "x") == ('12" drum', "Cat")


def test_brackets_of_people_are_letters() -> None:
    assert label_of("Dog (big) [outdoors]", "x") == "Dog (big) [outdoors]"
    assert labels_of("[laughter],(noise)", "x") == ("[laughter]", "(noise)")


def test_times_and_whole_numbers() -> None:
    assert event("1e-05", " .5", "x", "w") == Event(1e-05, 0.5, "x")
    assert math.isnan(event("nan", "1", "x", "w").onset_s)  # the clip is refused, see check_clip
    for onset in ("1_0", "0x1", "1,5", "", "١", "1 s"):
        with pytest.raises(SourceError, match="w: got onset"):
            event(onset, "2", "x", "w")
    assert integer("-3", "w") == -3
    for cell in ("1_0", "1.0", "", "٣", "9" * 5000):
        with pytest.raises(SourceError, match="expected a whole number"):
            integer(cell, "w")
