"""The libraries of others read what we write, and we read what they write."""

from pathlib import Path

import pytest

from shards.annotations.event import AnnotatedFile, SoundEvent
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, read, write

DOG = SoundEvent(onset_s=0.5, offset_s=1.25, label='a "dog"')
CAT = SoundEvent(onset_s=1.0, offset_s=2.0, label="cat")  # overlaps
FILE = AnnotatedFile(file="a.wav", events=(DOG, CAT), duration_s=3.0, sample_rate_hz=8000)


def written(file: AnnotatedFile, name: str, folder: Path) -> Path:
    path = folder / f"a{FORMATS[name].suffix}"
    path.write_bytes(b"".join(write([file], FORMATS[name])))
    return path


def spans(path: Path) -> list[tuple[float, float, str]]:
    (file,) = read(Content(data=path.read_bytes(), path=str(path), audio="a.wav"))
    return [(event.onset_s, event.offset_s, event.label) for event in file.events]


@pytest.mark.parametrize("name", ["textgrid", "textgrid-short"])
def test_praatio(name: str, tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    theirs = textgrid.openTextgrid(str(written(FILE, name, tmp_path)), False)
    found = [(*entry[:2], entry[2]) for tier in theirs.tiers for entry in tier.entries]
    assert found == [(0.5, 1.25, 'a "dog"'), (1.0, 2.0, "cat")]
    assert theirs.maxTimestamp == 3.0
    for kind in ("short_textgrid", "long_textgrid"):
        theirs.save(str(tmp_path / kind), kind, includeBlankSpaces=True)
        assert spans(tmp_path / kind) == found


def test_pympi(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan")
    theirs = elan.Eaf(str(written(FILE, "eaf", tmp_path)))
    found = [
        each
        for tier in theirs.get_tier_names()
        for each in theirs.get_annotation_data_for_tier(tier)
    ]
    assert found == [(500, 1250, 'a "dog"'), (1000, 2000, "cat")]
    assert theirs.get_linked_files()[0]["RELATIVE_MEDIA_URL"] == "./a.wav"
    theirs.to_file(str(tmp_path / "theirs.eaf"))
    assert spans(tmp_path / "theirs.eaf") == [(0.5, 1.25, 'a "dog"'), (1.0, 2.0, "cat")]


def test_jams(tmp_path: Path) -> None:
    jams = pytest.importorskip("jams")
    events = (SoundEvent(onset_s=0.5, offset_s=1.25, label="dog", score=0.75, annotator="Kim"), CAT)
    theirs = jams.load(str(written(AnnotatedFile(file="a.wav", events=events), "jams", tmp_path)))
    assert theirs.validate()
    found = [
        (each.time, each.duration, each.value, each.confidence)
        for annotation in theirs.search(namespace="segment_open")
        for each in annotation.data
    ]
    assert found == [(0.5, 0.75, "dog", 0.75), (1.0, 1.0, "cat", None)]
    theirs.save(str(tmp_path / "theirs.jams"))
    assert spans(tmp_path / "theirs.jams") == [(0.5, 1.25, "dog"), (1.0, 2.0, "cat")]
    empty = jams.load(str(written(AnnotatedFile(file="b.wav"), "jams", tmp_path)))
    assert empty.validate()


def test_soundevent(tmp_path: Path) -> None:
    io = pytest.importorskip("soundevent.io")
    boxed = SoundEvent(
        onset_s=0.5,
        offset_s=1.25,
        label="dog",
        low_hz=300,
        high_hz=2000,
        notes="n",
        annotator="Kim",
    )
    path = written(
        AnnotatedFile(file="a.wav", events=(boxed, CAT), duration_s=3.0), "aoef", tmp_path
    )
    theirs = io.load(path, type="annotation_set")
    (clip,) = theirs.clip_annotations
    found = {
        mark.tags[0].value: (mark.sound_event.geometry.type, mark.sound_event.geometry.coordinates)
        for mark in clip.sound_events
    }
    assert found == {
        "dog": ("BoundingBox", [0.5, 300, 1.25, 2000]),
        "cat": ("TimeInterval", [1.0, 2.0]),
    }
    io.save(theirs, tmp_path / "theirs.json")
    assert sorted(spans(tmp_path / "theirs.json")) == [(0.5, 1.25, "dog"), (1.0, 2.0, "cat")]
    scored = SoundEvent(onset_s=0.5, offset_s=1.25, label="dog", score=0.75)
    path = written(AnnotatedFile(file="a.wav", events=(scored,)), "aoef", tmp_path)
    (clip,) = io.load(path, type="prediction_set").clip_predictions
    (mark,) = clip.sound_events
    assert (mark.score, mark.tags[0].tag.value) == (0.75, "dog")
