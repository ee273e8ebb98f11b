"""Texts of events, read back by other programs' readers."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.detect.formats import (
    COLUMNS,
    FORMATS,
    DetectedEvent,
    FileEvents,
    FormatError,
    below_common,
    chosen_format,
    write_each,
    write_together,
)
from shards.io.store import Store

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
microseconds = st.integers(0, 10**12)


@st.composite
def files_of_events(draw: st.DrawFn) -> list[FileEvents]:
    """Up to three files with events of odd names."""
    files = []
    for file in draw(st.lists(names, max_size=3, unique=True)):
        events = []
        for _ in range(draw(st.integers(0, 3))):
            onset, length = draw(microseconds), draw(st.integers(1, 10**9))
            event = DetectedEvent(
                file=file,
                onset_s=onset / 1e6,
                offset_s=(onset + length) / 1e6,
                label=draw(names),
                score=draw(st.integers(0, 10_000)) / 1e4,
            )
            events.append(event)
        files.append(FileEvents(file=file, events=tuple(events)))
    return files


def rows_of(files: list[FileEvents]) -> list[tuple]:
    return [
        (e.file, pytest.approx(e.onset_s), pytest.approx(e.offset_s), e.label, e.score)
        for found in files
        for e in found.events
    ]


def text_of(name: str, files: list[FileEvents]) -> str:
    return "".join(FORMATS[name].pieces(files))


@pytest.mark.parametrize(("name", "delimiter"), [("tsv", "\t"), ("csv", ",")])
@given(files_of_events())
def test_tables_come_back(name: str, delimiter: str, files: list[FileEvents]) -> None:
    text = text_of(name, files)
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert tuple(header) == COLUMNS
    read = [(file, float(a), float(b), label, float(score)) for file, a, b, label, score in rows]
    assert read == rows_of(files)


@given(files_of_events())
def test_json_comes_back(files: list[FileEvents]) -> None:
    read = json.loads(text_of("json", files))
    assert [tuple(row[column] for column in COLUMNS) for row in read] == rows_of(files)


@given(files_of_events())
def test_audacity_has_one_line_of_three_cells_for_each_event(files: list[FileEvents]) -> None:
    for found in files:
        lines = text_of("audacity", [found]).split("\n")
        assert lines.pop() == ""
        assert len(lines) == len(found.events)
        for line, event in zip(lines, found.events, strict=True):
            onset, offset, label = line.split("\t")
            assert (float(onset), float(offset)) == pytest.approx((event.onset_s, event.offset_s))
            assert label.split() == event.label.split()


def event(file: str, label: str = "dog") -> DetectedEvent:
    return DetectedEvent(file=file, onset_s=0.04, offset_s=1 / 3, label=label, score=0.98765)


def test_what_a_person_sees() -> None:
    files = [FileEvents(file="a.wav", events=(event("a.wav"),)), FileEvents(file="b.wav")]
    assert text_of("tsv", files) == (
        "filename\tonset\toffset\tevent_label\tscore\na.wav\t0.040000\t0.333333\tdog\t0.9877\n"
    )
    assert text_of("csv", files).splitlines()[1] == "a.wav,0.040000,0.333333,dog,0.9877"
    assert text_of("json", files) == (
        '[\n{"filename": "a.wav", "onset": 0.04, "offset": 0.333333, '
        '"event_label": "dog", "score": 0.9877}\n]\n'
    )
    assert text_of("audacity", files) == "0.040000\t0.333333\tdog\n"
    assert text_of("json", []) == "[]\n"


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_are_not_utf8_still_give_text(name: str) -> None:
    file = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    text = text_of(name, [FileEvents(file=file, events=(event(file),))])
    text.encode("utf-8")
    if name != "audacity":
        assert "caf\\udce9.wav" in text.replace("\\\\", "\\")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_is_written_before_the_next_is_asked_for(name: str) -> None:
    out = io.StringIO()

    def results():  # type: ignore[no-untyped-def]
        yield FileEvents(file="a", events=(event("a", "first"),))
        assert "first" in out.getvalue()
        yield FileEvents(file="b", error="b: broken")
        yield FileEvents(file="c", events=(event("c", "second"),))
        assert "second" in out.getvalue()

    assert write_together(results(), FORMATS[name], out) == ["b: broken"]


def test_audacity_for_several_files_needs_a_folder() -> None:
    with pytest.raises(FormatError, match=r"got 2 files, and audacity .* give --output-dir"):
        chosen_format("audacity", 2, one_text_each=False)
    assert chosen_format("audacity", 1, one_text_each=False).suffix == ".txt"
    assert chosen_format("audacity", 2, one_text_each=True).suffix == ".txt"
    assert chosen_format("tsv", 2, one_text_each=False).suffix == ".tsv"


def test_a_text_for_each_file(tmp_path: Path) -> None:
    files = ["/data/day1/x.wav", "/data/day2/x.wav", "/data/day2/x.flac", "/data/day2/bad.wav"]
    results = [FileEvents(file=file, events=(event(file),)) for file in files[:3]]
    results.append(FileEvents(file=files[3], error="bad"))
    errors = write_each(results, FORMATS["audacity"], Store.local(tmp_path), files)
    assert errors == ["bad"]
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert written == ["day1/x.wav.txt", "day2/x.flac.txt", "day2/x.wav.txt"]
    assert (tmp_path / "day1/x.wav.txt").read_text() == "0.040000\t0.333333\tdog\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["/a/b/x.wav"], ["x.wav"]),
        (["s3://bucket/a/x.wav", "s3://bucket/y.wav"], ["a/x.wav", "y.wav"]),
        (["/a/x.wav", "/a/b/../../c/y.wav"], ["a/x.wav", "c/y.wav"]),
        (["/a/b/x.wav", "/a/bc/x.wav"], ["b/x.wav", "bc/x.wav"]),
        (["/x.wav", "s3://bucket/x.wav"], ["x.wav", "s3:/bucket/x.wav"]),
    ],
)
def test_names_below_the_common_folder(files: list[str], expected: list[str]) -> None:
    assert list(below_common(files).values()) == expected
