"""What people's files of annotations hold besides what they should: read whole, or refused."""

import json
from pathlib import Path

import pytest

from shards.annotations.event import AnnotatedFile, AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import read, recognise
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError

RAVEN = "Selection\tView\tBegin Time (s)\tEnd Time (s)\tBegin File\tAnnotation\n"
EVENT = '{"filename": "a.wav", "onset": 0, "offset": 1, "event_label": "dog"}'


def files(text: str | bytes) -> list[AnnotatedFile]:
    data = text if isinstance(text, bytes) else text.encode()
    return read(Content(data=data, path="odd", audio="a.wav"))


def labels(text: str | bytes) -> list[str]:
    return [event.label for file in files(text) for event in file.events]


def test_selections_without_a_number_and_of_several_files_are_all_kept() -> None:
    rows = "\tWaveform 1\t0\t1\ta.wav\tdog\n\tSpectrogram 1\t2\t3\ta.wav\tcat\n"
    assert labels(RAVEN + rows) == ["dog", "cat"]
    rows = "1\tSpectrogram 1\t0\t1\ta.wav\tdog\n1\tWaveform 1\t0\t1\ta.wav\tdog\n"
    rows += "1\tWaveform 1\t0\t1\tb.wav\tcat\n1\tWaveform 1\t4\t5\ta.wav\towl\n"
    assert labels(RAVEN + rows) == ["dog", "owl", "cat"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_alike_in_all_formats_of_lines(end: str) -> None:
    for lines in (
        ["0\t1\tdog", "2\t3\tcat"],
        [f"SPEAKER a 1 {n} 1 <NA> <NA> {label} <NA> <NA>" for n, label in ((0, "dog"), (2, "cat"))],
        [EVENT, EVENT.replace("dog", "cat")],
    ):
        assert labels(end.join([*lines, ""])) == ["dog", "cat"]


@pytest.mark.parametrize("label", ["['dog']", '["dog", "cat"]', "[]", "{'dog': 1}"])
def test_lists_of_programs_are_no_classes(label: str) -> None:
    for text in (
        f"filename\tonset\toffset\tevent_label\na.wav\t0\t1\t{json.dumps(label)[1:-1]}\n",
        f"[{json.dumps(json.loads(EVENT) | {'event_label': label})}]",
        f"0\t1\t{label}\n",
    ):
        if '\\"' not in text or text.startswith("["):
            with pytest.raises(AnnotationError, match="got the label"):
                files(text)


@pytest.mark.parametrize("text", [f"[{EVENT}]", EVENT, f"{EVENT}\n{EVENT}"])
def test_a_key_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(AnnotationError, match="got the key 'onset' twice"):
        files(text.replace('"offset": 1', '"onset": 0.5, "offset": 1'))


def test_columns_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(AnnotationError, match="'onset' and 'Onset', which differ"):
        files("filename\tonset\tOnset\toffset\tevent_label\na.wav\t0\t1\t3\tdog\n")


def test_json_of_endless_depth_is_none_of_ours() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        assert recognise(Content(data=text.encode(), path="odd", audio="a")) is None


def test_tasks_that_nobody_annotated_are_no_silence() -> None:
    tasks = [
        {"data": {"audio": "none.wav"}, "annotations": [], "predictions": []},
        {"data": {"audio": "skipped.wav"}, "annotations": [{"was_cancelled": True, "result": []}]},
        {"data": {"audio": "silent.wav"}, "annotations": [{"result": []}]},
    ]
    assert files(json.dumps(tasks)) == [AnnotatedFile(file="silent.wav")]


def test_annotations_that_cannot_be_read_are_not_called_absent(tmp_path: Path) -> None:
    (tmp_path / "strong").mkdir()
    (tmp_path / "strong/a.wav").touch()
    (tmp_path / "strong/a.txt").write_text("0\t1\tdog\n1\t2\tnan\n")
    with pytest.raises(SourceError, match=r"2 faults: .*a\.txt line 2: got the label 'nan'"):
        SOURCES["folder"](Store.local(tmp_path), {})


def test_label_tables_in_utf_16(tmp_path: Path) -> None:
    (tmp_path / "strong").mkdir()
    (tmp_path / "strong/a.wav").touch()
    text = "filename\tonset\toffset\tevent_label\na.wav\t0\t1\tVögel\n"
    (tmp_path / "strong.tsv").write_bytes(text.encode("utf-16"))
    assert SOURCES["folder"](Store.local(tmp_path), {}).classes == ("Vögel",)


@pytest.mark.parametrize(
    "text",
    [
        "selection\tbegin time (s)\tEnd time (s)\tannotation\n1\t0,5\t1,25\tdog\n",
        "Start (s);End (s);Scientific name;Common name;Confidence\n0,5;1,25;Canis;dog;0,75\n",
        "start (s),end (s),common NAME,confidence\n0.5,1.25,dog,0.75\n",
        "sep=;\nINDIR;FOLDER;IN FILE;OFFSET;DURATION;MANUAL ID\nD:;;a.wav;0,5;0,75;dog\n",
        "indir,folder,in file,offset,duration,manual id\nD:,,a.wav,0.5,0.75,dog\n",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tables_of_programs_after_a_spreadsheet(text: str, end: str) -> None:
    [file] = files(text.replace("\n", end))
    [event] = file.events
    assert (event.onset_s, event.offset_s, event.label) == (0.5, 1.25, "dog")
    assert (file.file, event.score) in (("a.wav", None), ("a.wav", 0.75))
