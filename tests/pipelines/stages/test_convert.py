"""Annotations converted from format to format: files, folders, and what is left out."""

import logging
from pathlib import Path

import pytest
import soundfile
from annotation_examples import EXAMPLES

from pipelines.cli.main import main
from pipelines.inference.annotation_files import FormatError
from pipelines.stages.convert import ConvertError, convert
from shards.annotations.event import AnnotationError
from shards.annotations.format import Content
from shards.annotations.registry import FORMATS, read


def events(path: Path) -> set[tuple[str, float, float, str]]:
    files = read(Content(data=path.read_bytes(), path=str(path), audio="?"))
    return {(f.file, e.onset_s, e.offset_s, e.label) for f in files for e in f.events}


def test_a_file_becomes_a_file_and_unknown_columns_survive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.csv").write_text(EXAMPLES["csv"])
    main(["convert", str(tmp_path / "in.csv"), str(tmp_path / "out.tsv"), "--format", "tsv"])
    header, row = (tmp_path / "out.tsv").read_text().splitlines()
    assert dict(zip(header.split("\t"), row.split("\t"), strict=True)) == {
        **{"filename": "a.wav", "onset": "0.500000", "offset": "1.250000", "event_label": "dog"},
        **{"score": "0.75", "season": "spring"},
    }
    assert "converted 1 file (1 csv): 1 event of 1 recording in 1 file" in capsys.readouterr().out


def test_what_a_format_cannot_hold_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in.csv").write_text(EXAMPLES["csv"])
    with caplog.at_level(logging.WARNING):
        done = convert(str(tmp_path / "in.csv"), str(tmp_path / "labels.txt"), ["audacity"])
    assert done.written == (str(tmp_path / "labels.txt"),)
    assert [record.getMessage() for record in caplog.records] == [
        "Audacity labels cannot hold 1 scores: left out",
        "Audacity labels cannot hold 1 values of the column 'season': left out",
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_of_all_formats_becomes_any_format(tmp_path: Path, name: str) -> None:
    """Each file is about a recording of its own, beside some of which there is audio."""
    source, out = tmp_path / "in", tmp_path / "out"
    for number, kind in enumerate(["audacity", "raven", "csv"]):
        path = source / f"d{number}" / f"r{number}{FORMATS[kind].suffix}"
        path.parent.mkdir(parents=True)
        path.write_text(EXAMPLES[kind].replace("a.wav", "r2.wav"))
    soundfile.write(source / "d0/r0.wav", [0.0] * 16000, 8000)
    (source / "read me.txt").write_text("by hand")
    done = convert(str(source), str(out), [name])
    assert (done.recordings, done.events) == (3, 3)
    assert done.read == {"audacity": 1, "csv": 1, "raven": 1}
    assert done.unknown == ("read me.txt",)
    assert len(done.written) == 3
    times = {(each[1:]) for path in done.written for each in events(Path(path))}
    assert times == {(0.5, 1.25, "dog")}
    assert {Path(path).parent.name for path in done.written} == {"d0", "d1", "d2"}


def test_one_file_of_a_folder_names_recordings_below_it(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        (tmp_path / "in" / folder / "day.txt").write_text("1.0\t2.0\tcat\n")
        (tmp_path / "in" / folder / "day.wav").touch()  # no audio: its length is not known
        (tmp_path / "in" / folder / "night.tsv").write_text(EXAMPLES["tsv"])
    out = tmp_path / "all.csv"
    done = convert(str(tmp_path / "in"), str(out), ["csv"], together=True)
    assert done.written == (str(out),)
    assert events(out) == {
        each
        for folder in ("x", "y")
        for each in [
            (f"{folder}/day.wav", 1.0, 2.0, "cat"),
            (f"{folder}/a.wav", 0.5, 1.25, "dog"),
        ]
    }
    assert sum(line.startswith("x/b.wav,,,") for line in out.read_text().splitlines()) == 1
    with pytest.raises(FormatError, match="audacity text tells the events of one"):
        convert(str(tmp_path / "in"), str(out), ["audacity"], together=True)


def test_a_table_of_several_recordings_becomes_a_file_for_each(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text(EXAMPLES["tsv"])
    done = convert(str(tmp_path / "in.tsv"), str(tmp_path / "out"), ["audacity", "csv"])
    assert sorted(Path(path).name for path in done.written) == [
        "a.wav.txt",
        "b.wav.txt",
        "in.csv",
    ]
    assert (tmp_path / "out/b.wav.txt").read_bytes() == b""


def test_nothing_is_written_over(tmp_path: Path) -> None:
    source, out = tmp_path / "in.txt", tmp_path / "out.tsv"
    source.write_text(EXAMPLES["audacity"])
    out.write_text("mine")
    with pytest.raises(ConvertError, match="there already"):
        convert(str(source), str(out), ["tsv"])
    with pytest.raises(ConvertError, match="would replace what is converted"):
        convert(str(source), str(source), ["tsv"], overwrite=True)
    assert out.read_text() == "mine"
    convert(str(source), str(out), ["tsv"], overwrite=True, audio="day.flac")
    assert events(out) == {("day.flac", 0.5, 1.25, "dog")}
    (tmp_path / "two").mkdir()
    for name in ("a.txt", "a.selections.txt"):
        (tmp_path / "two" / name).write_text(EXAMPLES["audacity"])
    (tmp_path / "two/a.wav").touch()
    with pytest.raises(ConvertError, match=r"a\.selections\.txt and a\.txt: both would become"):
        convert(str(tmp_path / "two"), str(tmp_path / "new"), ["raven"])
    assert not (tmp_path / "new").exists()


def test_unreadable_files_of_a_folder_do_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/good.txt").write_text(EXAMPLES["audacity"])
    (tmp_path / "in/bad.txt").write_text("1.0\t2.0\tcat\nand so on\n")
    with pytest.raises(SystemExit) as ended:
        main(["convert", str(tmp_path / "in"), str(tmp_path / "out"), "--format", "rttm"])
    assert ended.value.code == 1
    assert "bad.txt line 2" in " ".join(capsys.readouterr().out.split())
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.rttm"]
    with pytest.raises(AnnotationError, match="line 2"):
        convert(str(tmp_path / "in/bad.txt"), str(tmp_path / "x.tsv"), ["tsv"])
