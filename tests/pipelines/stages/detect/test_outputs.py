"""Which files detections go to, in which formats, and what is refused before any work."""

import io
import json
from pathlib import Path

import pytest

from pipelines.inference.annotation_files import (
    FormatError,
    below_common,
    chosen_formats,
    output_names,
)
from pipelines.stages.detect.counts import Counts, poisson_interval
from pipelines.stages.detect.outputs import write_together
from pipelines.stages.detect.results import FileEvents
from shards.annotations.event import AnnotationError, SoundEvent
from shards.annotations.registry import FORMATS


def event(label: str = "dog") -> SoundEvent:
    return SoundEvent(onset_s=0.04, offset_s=1 / 3, label=label, score=0.98765)


def text_of(name: str, files: list[FileEvents]) -> str:
    out = io.StringIO()
    assert write_together(iter(files), FORMATS[name], out) == []
    return out.getvalue()


def test_what_a_person_sees() -> None:
    files = [FileEvents(file="a.wav", events=(event(),)), FileEvents(file="b.wav")]
    assert text_of("tsv", files) == (
        "filename\tonset\toffset\tevent_label\tscore\na.wav\t0.040000\t0.333333\tdog\t0.9877\n"
        "b.wav\t\t\t\t\n"
    )
    assert text_of("csv", files).splitlines()[1] == "a.wav,0.040000,0.333333,dog,0.9877"
    assert text_of("json", files[:1]) == (
        '[\n{"filename": "a.wav", "onset": 0.04, "offset": 0.333333, '
        '"event_label": "dog", "score": 0.9877}\n]\n'
    )
    assert text_of("audacity", files[:1]) == "0.040000\t0.333333\tdog\n"
    assert text_of("json", []) == "[]\n"


def test_a_result_survives_the_way_from_a_worker() -> None:
    found = FileEvents(
        file=b"caf\xe9.wav".decode("utf-8", "surrogateescape"),
        events=(event(), event("cat")),
        duration_s=3.5,
        sample_rate_hz=8000,
        low_rate_hz=8000,
    )
    assert FileEvents.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].one_file])
def test_a_file_is_written_before_the_next_is_asked_for(name: str) -> None:
    if name in ("parquet", "aoef"):  # one document
        return
    out = io.StringIO()

    def results():  # type: ignore[no-untyped-def]
        yield FileEvents(file="a", events=(event("first"),))
        assert "first" in out.getvalue()
        yield FileEvents(file="b", error="b: broken")
        yield FileEvents(file="c", events=(event("second"),))
        assert "second" in out.getvalue()

    assert write_together(results(), FORMATS[name], out) == ["b: broken"]


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(FormatError, match=r"got 2 files, and audacity .* give --output-dir"):
        chosen_formats(["audacity"], 2, None, together=False)
    with pytest.raises(FormatError, match=r"got 2 files, and raven"):
        chosen_formats(["raven"], 2, "folder", together=True)
    with pytest.raises(FormatError, match="standard output takes one"):
        chosen_formats(["tsv", "csv"], 1, None, together=False)
    with pytest.raises(FormatError, match=r"textgrid and textgrid-short, .* the same name"):
        chosen_formats(["textgrid", "textgrid-short"], 1, "folder", together=False)
    with pytest.raises(AnnotationError, match="did you mean 'raven'"):
        chosen_formats(["ravn"], 1, None, together=False)
    assert list(chosen_formats(["raven", "tsv"], 2, "folder", together=False)) == ["raven", "tsv"]


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


def test_names_that_no_file_system_takes_are_cut_and_stay_different(tmp_path: Path) -> None:
    files = [f"/a/{'ü' * 120}{end}.wav" for end in ("1", "2")]
    first, second = output_names(files).values()
    assert first != second
    for name in (first, second):
        (tmp_path / f"{name}.scores.npz").write_bytes(b"")


def test_events_per_hour() -> None:
    counts = Counts(["cat", "dog"])
    counts.add(FileEvents(file="a", events=(event(), event()), duration_s=1800.0))
    counts.add(FileEvents(file="b", events=(event(),), duration_s=5400.0))
    assert counts.text().decode().splitlines() == [
        "event_label,events,hours,per_hour,low_95,high_95",
        "cat,0,2.000000,0.0000,0.0000,1.8444",
        "dog,3,2.000000,1.5000,0.3093,4.3836",
    ]


@pytest.mark.parametrize(
    ("count", "low", "high"),  # Garwood's table (Biometrika 28, 1936)
    [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.39)],
)
def test_the_interval_of_a_count(count: int, low: float, high: float) -> None:
    assert poisson_interval(count) == pytest.approx((low, high), rel=1e-3, abs=1e-3)
