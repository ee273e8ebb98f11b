"""Broken JSON is told with its place, and control characters and whole-file labels are refused."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from pipelines.stages.convert import convert
from shards.annotations.event import AnnotatedFile, AnnotationError, SoundEvent
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, read, recognise, write


def content(data: bytes | str | Any, path: str) -> Content:
    if not isinstance(data, bytes | str):
        data = json.dumps(data)
    return Content(
        data=data if isinstance(data, bytes) else data.encode(), path=path, audio="a.wav"
    )


@pytest.mark.parametrize("name", [n for n in FORMATS if "json" in FORMATS[n].suffix or n == "jams"])
def test_json_that_breaks_off_is_told_with_its_place(name: str, tmp_path: Path) -> None:
    event = SoundEvent(onset_s=0, offset_s=1, label="dog")
    whole = b"".join(write([AnnotatedFile(file="a.wav", events=(event,))], FORMATS[name]))
    cut = whole.rstrip()[:-5]
    file = tmp_path / f"a{FORMATS[name].suffix}"
    file.write_bytes(cut)
    line = cut.count(b"\n") + 1
    with pytest.raises(AnnotationError, match=rf"{file.name}\b.*line {line}\b"):
        convert(str(file), str(tmp_path / "out.tsv"), ["tsv"])


@pytest.mark.parametrize("path", ["a.json", "a.JAMS", "a.jsonl"])
def test_the_first_broken_line_counts(path: str) -> None:
    with pytest.raises(AnnotationError, match=r"broken JSON \(line 3 column 1"):
        recognise(
            content('{"a": 1}\n{"b": 2}\nx\n' if path == "a.jsonl" else '{"a": 1,\n\n}', path)
        )


@pytest.mark.parametrize(
    ("data", "path"), [('{"a": 1}', "a.json"), ('{"a": 1}\n[2]\n', "a.json"), ("[song]\n", "a.txt")]
)
def test_what_is_no_broken_json_is_in_no_known_format(data: str, path: str) -> None:
    assert recognise(content(data, path)) is None


@pytest.mark.parametrize("odd", ["\0", "\x0b", "\x7f", "\x85"])
@pytest.mark.parametrize("name", ["audacity", "raven", "textgrid", "jams", "label-studio", "json"])
def test_control_characters_in_labels_are_refused(name: str, odd: str) -> None:
    marked = "dQg"
    event = SoundEvent(onset_s=0, offset_s=1, label=marked)
    data = b"".join(write([AnnotatedFile(file="a.wav", events=(event,))], FORMATS[name]))
    spelt = json.dumps(odd)[1:-1] if name in ("jams", "label-studio", "json") else odd
    data = data.replace(marked.encode(), f"d{spelt}g".encode())
    with pytest.raises(AnnotationError, match=rf"U\+{ord(odd):04X}"):
        read(content(data, "a"), name)


def task(*regions: tuple[str, dict[str, Any]], audio: str = "a.wav") -> dict[str, Any]:
    result = [{"type": kind, "value": value} for kind, value in regions]
    return {"data": {"audio": audio}, "annotations": [{"result": result}]}


REGION = ("labels", {"start": 1, "end": 2, "labels": ["cat"]})
CHOICE = ("choices", {"choices": ["dog"]})
TAXON = ("taxonomy", {"taxonomy": [["animal", "dog"]]})
MINIMAL = {"audio": "a.wav", "annotation_id": 1, "sound": {"choices": ["dog"]}}


@pytest.mark.parametrize("whole", [task(CHOICE), task(TAXON), MINIMAL])
def test_whole_file_choices_are_no_silence(whole: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError, match=r"task 2: .*'dog'.*weak\.tsv"):
        read(content([task(REGION, audio="b.wav"), whole], "a.json"), "label-studio")


def test_choices_beside_regions_are_told(caplog: pytest.LogCaptureFixture) -> None:
    both = [task(REGION, CHOICE), task(REGION, ("rating", {"rating": 3}), audio="b.wav")]
    with caplog.at_level(logging.WARNING):
        found = read(content(both, "a.json"), "label-studio")
    assert [event.label for file in found for event in file.events] == ["cat", "cat"]
    assert "a.json: 1 tasks" in caplog.text and "'dog'" in caplog.text


def test_a_task_without_any_label_is_a_recording_without_events() -> None:
    for empty in (task(), task(("rating", {"rating": 3})), {"audio": "a.wav", "annotation_id": 1}):
        assert read(content([empty], "a.json"), "label-studio") == [AnnotatedFile(file="a.wav")]
