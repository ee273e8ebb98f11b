"""All that is wrong with annotations is told at once: the first 20 faults, and how many more."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.cli.main import main
from shards.annotations.event import AnnotatedFile, AnnotationError, SoundEvent
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, read, write

LATE = 30  # events whose label is a missing value
ARGS = {"path": "beside", "audio": "a.wav"}


def wrong(name: str, count: int = LATE) -> bytes:
    """A good event, and so many wrong ones, in a format."""
    events = tuple(
        SoundEvent(onset_s=n, offset_s=n + 0.5, label="nan" if n else "dog")
        for n in range(count + 1)
    )
    file = AnnotatedFile(file="a.wav", events=events, duration_s=100, sample_rate_hz=1000)
    return b"".join(write([file], FORMATS[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_the_first_twenty_faults_and_the_count_of_all(name: str) -> None:
    with pytest.raises(AnnotationError) as raised:
        read(Content(data=wrong(name), **ARGS), name)
    text = str(raised.value)
    assert text.startswith(f"{LATE} faults: beside") and text.endswith("; and 10 more")
    assert text.count("got the label 'nan'") == 20


def assert_faults(data: bytes, *said: str) -> None:
    """A file is refused for these faults and no others."""
    with pytest.raises(AnnotationError) as raised:
        read(Content(data=data, **ARGS))
    text = str(raised.value)
    assert text.startswith(f"{len(said)} faults: ")
    for each in said:
        assert each in text


def test_convert_lists_the_faults_of_all_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("eaf", "jams", "audacity"):
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True)
        (folder / f"a{FORMATS[name].suffix}").write_bytes(wrong(name, 9))
    good = AnnotatedFile(file="b.wav", events=(SoundEvent(onset_s=0, offset_s=1, label="dog"),))
    (tmp_path / "in/b.tsv").write_bytes(b"".join(write([good], FORMATS["tsv"])))
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "tsv"])
    assert ended.value.code == 1
    text = capsys.readouterr().out
    assert len(re.findall(r"^unreadable: ", text, re.MULTILINE)) == 21
    assert "unreadable: and 7 more" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.tsv"]


def eaf(body: str, slots: str = "") -> bytes:
    times = '<TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="t2" '
    times += f'TIME_VALUE="1250"/>{slots}'
    head = '<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT><TIME_ORDER>'
    return f"{head}{times}</TIME_ORDER>{body}</ANNOTATION_DOCUMENT>".encode()


def timed(own: str, label: str, first: str = "t1", last: str = "t2") -> str:
    refs = f'ANNOTATION_ID="{own}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}"'
    value = f"<ANNOTATION_VALUE>{label}</ANNOTATION_VALUE>"
    return f"<ANNOTATION><ALIGNABLE_ANNOTATION {refs}>{value}</ALIGNABLE_ANNOTATION></ANNOTATION>"


def refers(own: str, to: str, label: str) -> str:
    value = f"<ANNOTATION_VALUE>{label}</ANNOTATION_VALUE>"
    refs = f'ANNOTATION_ID="{own}" ANNOTATION_REF="{to}"'
    return f"<ANNOTATION><REF_ANNOTATION {refs}>{value}</REF_ANNOTATION></ANNOTATION>"


def test_faults_of_elan_of_all_kinds() -> None:
    body = f'<TIER TIER_ID="x">{timed("a1", "dog")}{timed("a2", "cat", "t9")}'
    body += f"{timed('a3', 'nan')}{timed('a4', 'rain', 't2', 't1')}</TIER>"
    body += f'<TIER TIER_ID="mood">{refers("a5", "a77", "angry")}</TIER>'
    assert_faults(
        eaf(body, '<TIME_SLOT TIME_SLOT_ID="t3" TIME_VALUE="x"/>'),
        "time slot t3: got the time in milliseconds 'x'",
        "annotation a2: no time slot 't9'",
        "annotation a3: got the label 'nan'",
        "annotation a4: the event 'rain' from 1.25 s to 0.5 s",
        "annotation a5: refers to 'a77', which is not there",
    )


def test_elans_references_of_references_and_several_of_one_tier_are_kept() -> None:
    body = f'<TIER TIER_ID="x">{timed("a1", "dog")}</TIER>'
    body += f'<TIER TIER_ID="mood">{refers("a2", "a1", "very")}{refers("a3", "a1", "angry")}</TIER>'
    body += f'<TIER TIER_ID="tongue">{refers("a4", "a3", "böse")}</TIER>'
    [file] = read(Content(data=eaf(body), **ARGS))
    assert file.events[0].extra == {"tier": "x", "mood": "very angry", "tongue": "böse"}


def jams(*annotations: dict[str, Any]) -> bytes:
    about = {"identifiers": {"filename": "a.wav"}, "duration": 9}
    return json.dumps({"annotations": list(annotations), "file_metadata": about}).encode()


def seen(value: Any, **others: Any) -> dict[str, Any]:
    return {"time": 1.0, "duration": 0.5, "value": value, "confidence": None} | others


def test_faults_of_jams_of_all_kinds() -> None:
    first = [seen("dog"), seen(None), seen("cat", time="x"), seen(3), {"value": "cat"}]
    data = jams({"namespace": "segment_open", "data": first}, {"namespace": "scaper"})
    assert_faults(
        data,
        "annotation 1 observation 2: got the label None",
        "annotation 1 observation 3: no readable JAMS",
        "annotation 1 observation 4: got the label 3",
        "annotation 1 observation 5: no readable JAMS (KeyError('time'))",
        "annotation 2: no readable JAMS (KeyError('data'))",
    )


def test_beats_are_no_file_without_events() -> None:
    beats = {"namespace": "beat", "data": [seen(1), seen(2)]}
    with pytest.raises(AnnotationError, match="got 2 observations of beat, whose values"):
        read(Content(data=jams(beats), **ARGS))
    [file] = read(Content(data=jams(beats, {"namespace": "x", "data": [seen("dog")]}), **ARGS))
    assert [event.label for event in file.events] == ["dog"]


def test_faults_of_aoef_of_all_kinds() -> None:
    shape = {"type": "TimeInterval", "coordinates": [0, 1]}
    marks = [
        {"sound_event": "s1", "tags": [0]},
        {"sound_event": "s2", "tags": [0]},
        {"sound_event": "s3", "tags": [0]},
        {"sound_event": "s1", "tags": []},
        {"sound_event": "s1", "tags": [7]},
    ]
    data = {
        "collection_type": "annotation_set",
        "recordings": [{"uuid": "r1", "path": "a.wav", "duration": 9, "samplerate": 8000}],
        "tags": [{"id": 0, "key": "event", "value": "dog"}],
        "sound_events": [
            {"uuid": "s1", "recording": "r1", "geometry": shape},
            {"uuid": "s2", "recording": "r1", "geometry": {"type": "Cube", "coordinates": []}},
            {"uuid": "s3", "recording": "r9", "geometry": shape},
        ],
        "sound_event_annotations": marks,
    }
    assert_faults(
        json.dumps({"data": data}).encode(),
        "annotated event 2: no readable AOEF (ValueError(\"a shape of the kind 'Cube'\"))",
        "annotated event 3: no readable AOEF (KeyError('r9'))",
        "annotated event 4: got the label ''",
        "annotated event 5: no readable AOEF (KeyError(7))",
    )


def test_faults_of_label_studio_within_a_task() -> None:
    spans: list[dict[str, Any]] = [
        {"start": 0, "end": 1, "labels": ["dog", "nan", None]},
        {"start": 3, "end": 2, "labels": ["dog"]},
        {"start": 0, "end": 1, "labels": ["dog"], "channel": "left"},
        {"start": 0, "labels": ["dog"]},
    ]
    result = [{"value": span} for span in spans]
    task = {"data": {"audio": "a.wav"}, "annotations": [{"result": result}]}
    assert_faults(
        json.dumps([task, {"data": {}, "annotations": [{"result": []}]}]).encode(),
        "task 1 region 1: got the label 'nan'",
        "task 1 region 1: got the label None",
        "task 1 region 2: the event 'dog' from 3.0 s to 2.0 s",
        "task 1 region 3: got the channel 'left'",
        "task 1 region 4: no readable region (KeyError('end'))",
        "task 2: no readable task (KeyError('audio'))",
    )


def test_faults_of_layers_and_tiers_name_their_place() -> None:
    points = '<point frame="0" duration="5" label="dog"/><point frame="x" label="cat"/>'
    points += '<point frame="3" duration="1"/>'
    text = '<sv><data><model id="1" type="sparse" sampleRate="10" dataset="0"/><dataset id="0">'
    with pytest.raises(AnnotationError, match=r"2 faults: .*layer 1 point 2: .*'x'.*point 3: got"):
        read(Content(data=f"{text}{points}</dataset></data></sv>".encode(), **ARGS))
    grid = 'File type = "ooTextFile"\nObject class = "TextGrid"\n0 9 <exists> 1\n"IntervalTier" '
    grid += '"birds" 0 9 3\n0 1 "NA"\n3 2 "owl"\n4 5 "owl"\n'
    with pytest.raises(AnnotationError, match=r"2 faults: .*tier 'birds': got the label 'NA'"):
        read(Content(data=grid.encode(), **ARGS))
