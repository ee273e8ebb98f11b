"""Tables of annotations are read by the rules of subset tables: no row is merged or lost."""

import pytest

from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import read, recognise

HEADER = "filename\tonset\toffset\tevent_label\n"


def files(text: str) -> list[AnnotatedFile]:
    return read(Content(data=text.encode(), path="t.tsv", audio="AUDIO"))


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_a_lone_quote_is_refused_with_its_row_and_swallows_none(separator: str) -> None:
    text = HEADER + 'a.wav\t0\t1\tDog\na.wav\t1\t2\t"Dog\nb.wav\tx\t2\tCow\nc.wav\t2\t3\tCat"\n'
    with pytest.raises(AnnotationError, match=r"2 faults: .*row 4: got the onset_s 'x'") as e:
        files(text.replace("\t", separator))
    assert "t.tsv row 3: a quote is opened and not closed" in str(e.value)


@pytest.mark.parametrize(
    "text",
    [
        "Selection\tBegin Time (s)\tEnd Time (s)\tAnnotation\n1\t0\t1\t{}\n2\t1\t2\tCat\n",
        "Start (s),End (s),Scientific name,Common name,Confidence\n0,1,x,{},0.5\n1,2,x,Cat,0.5\n",
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,MANUAL ID\n,,a.wav,0,1,{}\n,,a.wav,1,1,Cat\n",
    ],
)
def test_tables_of_programs_merge_no_rows_either(text: str) -> None:
    ((*_, last),) = (file.events for file in files(text.format("Dog")))
    assert last.label == "Cat"
    with pytest.raises(AnnotationError, match="row 2: a quote is opened and not closed"):
        files(text.format('"Dog').replace("Cat", 'Cat"'))


def test_quotes_that_are_letters_and_doubled_ones() -> None:
    (file,) = files(f'{HEADER}a\t0\t1\t12" drum\na\t1\t2\t"say ""a""\tb"\n')
    assert [event.label for event in file.events] == ['12" drum', 'say "a"\tb']


@pytest.mark.parametrize("label", ["", " ", "nan", "NaN", "NA", "None", "<NA>"])
def test_a_cell_of_nothing_is_no_class(label: str) -> None:
    with pytest.raises(AnnotationError, match=r"2 faults: t\.tsv row 2: got the label .*row 3"):
        files(f"{HEADER}a\t0\t1\t{label}\na\t1\t2\t{label}\nb\t0\t1\tDog\n")
    (empty,) = files(f"{HEADER}a\t{label}\t{label}\t{label}\n")
    assert (empty.file, empty.events) == ("a", ())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "text",
    [
        "filename;onset;offset;event_label\na.wav;0,5;1,25;Dog, big\n",
        "sep=;\nFilename;Onset;Offset;Event label\na.wav;0.5;1.25;Dog, big\n",
        "Filename\tOnset\tOffset\tEvent label\na.wav\t0,5\t1,25\tDog, big\n",
        'FILE,Start Time,End-Time,Class\na.wav,0.5,1.25,"Dog, big"\n',
    ],
)
def test_headers_separators_and_decimal_commas_of_people(text: str, end: str) -> None:
    (file,) = files(text.replace("\n", end))
    (event,) = file.events
    assert (file.file, event.onset_s, event.offset_s, event.label) == (
        *("a.wav", 0.5, 1.25),
        "Dog, big",
    )
    assert recognise(Content(data=text.encode(), path="x", audio="")) == (
        "tsv" if "\t" in text else "csv"
    )


def test_decimal_commas_and_points_in_one_table() -> None:
    with pytest.raises(AnnotationError, match=r"row 2: got the time 0,5 and 1\.5 in row 3"):
        files("filename;onset;offset;event_label\na;0,5;1;Dog\na;1.5;2;Dog\n")
