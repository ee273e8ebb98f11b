"""Classes that differ in spelling alone are told with their counts."""

from index_rows import index_row

from shards.clip import Event
from shards.quality.class_names import alike, alike_in_words, spelling_key
from shards.quality.label_notes import classes_of_kept, label_notes
from shards.quality.label_statistics import count_overlaps


def test_spellings_of_one_class() -> None:
    for names in (
        ("Dog_Bark", "dog bark", "DogBark", "dog-bark", " 'Dog' bark", "dog\u200bbark"),
        ("V\u00f6gel", "Vo\u0308gel", "v\u00f6gel"),
        ("Stra\u00dfe", "STRASSE"),
    ):
        assert len({spelling_key(name) for name in names}) == 1
    assert len({spelling_key(name) for name in ("dog", "dogs", "cat", "V\u00f6gel", "Vogel")}) == 5
    assert spelling_key("_") == "_"
    counts = {"dog": 2, "Cat": 1, "Dog": 30, "DOG": 2, "cat ": 1, "Bird": 5}
    assert alike(counts) == [["Cat", "cat "], ["Dog", "DOG", "dog"]]
    assert alike_in_words(["Dog", "dog"], counts) == "'Dog' (30 clips) and 'dog' (2 clips)"


def test_what_is_told_of_a_new_dataset() -> None:
    events = (Event(0, 2, "dog"), Event(1, 3, "dog"), Event(2, 2.5, "Cat"))
    rows = [
        index_row("a", weak=("Dog",)),
        index_row("b", weak=("Dog",)),
        index_row("c", events=events),
    ]
    spelling, overlaps = label_notes(rows)
    assert "'Dog' (2 clips) and 'dog' (1 clips)" in spelling
    assert "old, new that maps 'dog' to 'Dog'" in spelling
    assert overlaps.startswith("1 events in 1 clips overlap")
    assert list(label_notes(rows[:2])) == []
    kept, [note] = classes_of_kept(rows, ("nan", "dog", "Dog", "Cat"))
    assert kept == ("dog", "Dog", "Cat")
    assert note.endswith("left out: nan")
    assert classes_of_kept(rows, None) == (None, [])


def test_events_that_touch_do_not_overlap() -> None:
    assert count_overlaps([Event(0, 1, "a"), Event(1, 2, "a"), Event(0, 2, "b")]) == 0
    assert count_overlaps([Event(0, 1.0000001, "a"), Event(1, 2, "a")]) == 0
    assert count_overlaps([Event(0, 5, "a"), Event(1, 2, "a"), Event(3, 4, "a")]) == 2
    assert count_overlaps([Event(0, 1, "a"), Event(0, 1, "a"), Event(float("nan"), 1, "a")]) == 1
