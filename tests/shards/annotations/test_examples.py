"""Files as other programs write them: recognised by what they hold, and read whole."""

import pytest
from annotation_examples import EXAMPLES, EXPECTED

from shards.annotations.event import AnnotatedFile, AnnotationError, SoundEvent
from shards.annotations.format import Content
from shards.annotations.formats.aoef import bounds
from shards.annotations.registry import FORMATS, read, recognise, write


def content(text: str | bytes, path: str = "beside.txt") -> Content:
    data = text if isinstance(text, bytes) else text.encode()
    return Content(data=data, path=path, audio="AUDIO")


def test_each_format_has_an_example() -> None:
    assert set(EXAMPLES) == set(FORMATS) - {"parquet"}  # no text


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_example_is_of_its_format_alone(name: str, encoding: str, line_end: str) -> None:
    data = EXAMPLES[name].replace("\n", line_end).encode(encoding)
    assert [each for each in FORMATS if FORMATS[each].recognises(content(data))] == [name]
    found = {file.file: file.events for file in read(content(data))}
    assert found == EXPECTED[name]


def test_parquet_is_recognised_before_any_text_is_decoded() -> None:
    files = [
        AnnotatedFile(file="a.wav"),
        AnnotatedFile(file="b.wav", events=EXPECTED["tsv"]["a.wav"]),
    ]
    data = b"".join(write(files, FORMATS["parquet"]))
    assert recognise(content(data)) == "parquet"
    assert read(content(data)) == files


@pytest.mark.parametrize(
    "text",
    [
        b"RIFF\xff\xff\x00\x00WAVE",
        "just some notes\n",
        '{"a": 1}',
        "filename\tevent_labels\na.wav\tdog,cat\n",
        "<html></html>",
        "[1, 2]",
    ],
)
def test_anything_else_is_of_no_format(text: str | bytes) -> None:
    assert recognise(content(text)) is None
    with pytest.raises(AnnotationError, match=r"beside\.txt: in no format that is known"):
        read(content(text))


BILLION = """<?xml version="1.0"?>
<!DOCTYPE sv [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BILLION + "<sv><data>&b;</data></sv>", "no plain XML"),
        ('<!DOCTYPE sv [<!ENTITY a SYSTEM "file:///etc/passwd">]><sv>&a;</sv>', "no plain XML"),
        ("<ANNOTATION_DOCUMENT><TIME_ORDER>", "no plain XML"),
        ("<sv><data></data></sv>", "got no layer"),
        ("0.5\t1.0\tdog\nwhat is this\n", r"line 2: got 'what is this'"),
        ("2.0\t1.0\tdog\n", "expected the onset first"),
        (
            "filename\tonset\toffset\tevent_label\na\t0\tlate\tdog\n",
            r"row 2: got the offset_s 'late'",
        ),
        ("filename\tonset\toffset\tevent_label\na\t0\t\tdog\n", r"row 2: got no offset"),
        ("filename\tonset\toffset\tevent_label\na\t0\tinf\tdog\n", r"row 2: .*finite"),
        ("filename\tonset\toffset\tevent_label\na\t0\t1\tdog\tcat\n", r"row 2: got 5 cells"),
        (
            'filename\tonset\toffset\tevent_label\n"a\t0\t1\tdog\n',
            r"row 2: a quote is opened and not closed",
        ),
        ("filename\tonset\tonset\toffset\tevent_label\n", r"row 1: got the column 'onset' twice"),
        ("SPEAKER a 1 x 1 <NA> <NA> dog <NA> <NA>\n", r"line 1: got the time 'x'"),
        (
            'File type = "ooTextFile"\nObject class = "TextGrid"\n0 1 <exists> 1 "IntervalTier"',
            "got None",
        ),
        ('{"annotations": [{"data": 3}], "file_metadata": {}}', "no readable JAMS"),
        ('{"data": {"collection_type": "annotation_set", "recordings": [{}]}}', "no readable AOEF"),
        ('[{"data": {"audio": "a"}, "annotations": [{}]}]', "task 1: no readable task"),
        (b"PAR1 and no more", "no readable Parquet"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str | bytes, message: str) -> None:
    with pytest.raises(AnnotationError, match=rf"beside\.txt.*{message}"):
        read(content(text))


@pytest.mark.parametrize(
    ("name", "text", "files"),
    [
        ("audacity", "", {"AUDIO": ()}),
        ("raven", EXAMPLES["raven"].split("\n")[0] + "\n", {"AUDIO": ()}),
        ("raven", EXAMPLES["raven"].split("\n")[0].replace("\tAnnotation", ""), {"AUDIO": ()}),
        ("birdnet", "Start (s),End (s),Scientific name,Common name,Confidence\n", {"AUDIO": ()}),
        ("tsv", "onset\toffset\tevent_label\n", {"AUDIO": ()}),
        ("json", "[]", {}),
    ],
)
def test_a_file_of_nothing_is_a_file_without_events(
    name: str, text: str, files: dict[str, tuple[SoundEvent, ...]]
) -> None:
    assert recognise(content(text)) == name
    assert {file.file: file.events for file in read(content(text))} == files


def test_ravens_table_of_several_files() -> None:
    text = (
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\t"
        "Common Name\tSpecies Code\tConfidence\tBegin Path\tFile Offset (s)\n"
        "1\tSpectrogram 1\t1\t3.0\t6.0\t0\t15000\trobin\trob\t0.44\tC:\\day\\one.wav\t3.0\n"
        "2\tSpectrogram 1\t1\t60.0\t63.0\t0\t15000\tblackbird\tbla\t0.91\tC:\\day\\two.wav\t0.0\n"
    )
    one, two = read(content(text))
    assert (one.file, two.file) == ("one.wav", "two.wav")
    (robin,), (blackbird,) = one.events, two.events
    assert (robin.onset_s, robin.offset_s, robin.label, robin.score) == (3, 6, "robin", 0.44)
    assert (blackbird.onset_s, blackbird.offset_s, blackbird.label) == (0, 3, "blackbird")
    assert blackbird.extra == {"Species Code": "bla"}


def test_scapers_backgrounds_are_no_events() -> None:
    text = (
        '{"file_metadata": {"duration": 10.0}, "annotations": [{"namespace": "scaper", "data": ['
        '{"time": 0, "duration": 10, "value": {"label": "street", "role": "background"}},'
        '{"time": 2, "duration": 1, "value": {"label": "dog", "role": "foreground", "snr": 6.5}}'
        "]}]}"
    )
    (event,) = read(content(text))[0].events
    assert (event.onset_s, event.offset_s, event.label) == (2, 3, "dog")
    assert event.extra == {"role": "foreground", "snr": "6.5"}


def test_kaleidoscopes_bats_are_in_kilohertz() -> None:
    text = (
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,Fc,Sc,Fmin,Fmax,AUTO ID*,MANUAL ID\n"
        "D:,x,a.wav,1,2,45.2,10,40.5,70,PIPPIP,\n"
    )
    (event,) = read(content(text))[0].events
    assert (event.low_hz, event.high_hz, event.label) == (40500, 70000, "PIPPIP")


def test_label_studios_minimal_export() -> None:
    text = (
        '[{"audio": "/data/local-files/?d=day%2F1/a.wav", "id": 3, "annotation_id": 4, "label": '
        '[{"start": 0.5, "end": 1.25, "channel": 0, "labels": ["dog", "cat"]}]}]'
    )
    (file,) = read(content(text))
    assert file.file == "day/1/a.wav"
    assert [event.label for event in file.events] == ["dog", "cat"]


def test_audacitys_decimal_comma_and_open_band() -> None:
    (file,) = read(content("0,5\t1,25\tdog\n\\\t-1.0\t2000,5\n"))
    assert file.events == (SoundEvent(onset_s=0.5, offset_s=1.25, label="dog", high_hz=2000.5),)


@pytest.mark.parametrize(
    ("kind", "coordinates", "expected"),
    [
        ("TimeStamp", 2.0, (2, None, 2, None)),
        ("TimeInterval", [1, 2], (1, None, 2, None)),
        ("Point", [1, 500], (1, 500, 1, 500)),
        ("LineString", [[1, 500], [2, 400], [3, 800]], (1, 400, 3, 800)),
        ("Polygon", [[[1, 500], [2, 400], [3, 800], [1, 500]]], (1, 400, 3, 800)),
        ("MultiPolygon", [[[[1, 5], [2, 4]]], [[[7, 9], [0, 2]]]], (0, 2, 7, 9)),
    ],
)
def test_bounds_of_shapes(kind: str, coordinates: object, expected: tuple) -> None:
    assert bounds({"type": kind, "coordinates": coordinates}) == expected
