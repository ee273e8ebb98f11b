"""A missing value is a class in no format, however programs spell it."""

from pathlib import Path

import pytest

from pipelines.stages.convert import ConvertError, convert
from shards.annotations.event import AnnotatedFile, AnnotationError, SoundEvent
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, read, write
from shards.clip import EMPTY, Clip, ClipError, Event, check_clip

GAPS = ("textgrid", "textgrid-short", "eaf")  # in which a mark without text is a gap
TIMES = ((0.5, 1.25, "dog"), (2.0, 3.0, None), (4.0, 5.0, "cat"), (6.0, 7.0, None))


def in_format(name: str, label: str) -> bytes:
    """Two events that have a name, and two with the label, in a format."""
    events = tuple(
        SoundEvent(onset_s=onset_s, offset_s=offset_s, label=label if each is None else each)
        for onset_s, offset_s, each in TIMES
    )
    file = AnnotatedFile(file="a.wav", events=events, duration_s=10, sample_rate_hz=1000)
    return b"".join(write([file], FORMATS[name]))


@pytest.mark.parametrize("label", ["", " ", "nan", "NaN", "NA", "None", "<NA>"])
@pytest.mark.parametrize("name", FORMATS)
def test_no_format_makes_a_class_of_a_missing_value(name: str, label: str) -> None:
    data = in_format(name, label)
    if not label.strip() and name in GAPS:
        [file] = read(Content(data=data, path="a", audio="a.wav"), name)
        assert [event.label for event in file.events] == ["dog", "cat"]
        return
    with pytest.raises(AnnotationError, match=r"^2 faults: a\b.*got the label.*; .*got the label"):
        read(Content(data=data, path="a", audio="a.wav"), name)


@pytest.mark.parametrize("name", FORMATS)
def test_convert_refuses_them(tmp_path: Path, name: str) -> None:
    source = tmp_path / f"a{FORMATS[name].suffix}"
    source.write_bytes(in_format(name, "nan"))
    with pytest.raises(AnnotationError, match=r"2 faults: .*got the label 'nan'"):
        convert(str(source), str(tmp_path / "out.tsv"), ["tsv"])
    assert not (tmp_path / "out.tsv").exists()
    with pytest.raises(ConvertError, match="got the label 'nan'"):
        convert(str(tmp_path), str(tmp_path / "out"), ["tsv"])


@pytest.mark.parametrize("label", sorted(EMPTY))
def test_no_source_packs_them(label: str) -> None:
    for weak, events in (((label,), None), (None, (Event(0.0, 1.0, label),))):
        clip = Clip(source_id="a", audio="a.wav", subset="strong", weak=weak, events=events)
        with pytest.raises(ClipError, match="a: got the label"):
            check_clip(clip, 2.0, {label})


def test_missing_values_of_other_columns_are_left_out_and_odd_ones_refused() -> None:
    head = "filename,onset,offset,event_label,score,channel,notes\n"
    [file] = read(Content(data=f"{head}a,0,1,dog,nan,NA,\n".encode(), path="a", audio="a"))
    assert file.events == (SoundEvent(onset_s=0, offset_s=1, label="dog"),)
    for cells, said in (
        ("1_0,,", "score '1_0'"),
        (",1.5,", "channel '1.5'"),
        (",inf,", "channel 'inf'"),
    ):
        with pytest.raises(AnnotationError, match=f"row 2: got the {said}"):
            read(Content(data=f"{head}a,0,1,dog,{cells}\n".encode(), path="a", audio="a"))
