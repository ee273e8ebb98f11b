"""What a command's arguments name: patterns, prefixes, lists and packed datasets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import RATE, SETTINGS, noise
from http_server import http_files
from s3_server import s3_server

from pipelines.inference.audio_inputs import InputError, audio_inputs, opened
from pipelines.runtime.files.urls import store
from pipelines.stages.detect.settings import DetectError
from pipelines.stages.detect.write import write_detections


def names(*files: str, file_list: str | None = None) -> list[str]:
    return [audio.name for audio in audio_inputs(files, file_list=file_list).audio]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a1.wav", "a2.flac", "b.wav", "day/a3.wav", "day/deep/a4.wav", "a5.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


PATTERNS = [
    ("a*", ["a1.wav", "a2.flac"]),
    ("*.wav", ["a1.wav", "b.wav"]),
    ("**/*.wav", ["a1.wav", "b.wav", "day/a3.wav", "day/deep/a4.wav"]),
    ("da?/*", ["day/a3.wav"]),
    ("a[!1].*", ["a2.flac"]),
]


@pytest.mark.parametrize(("pattern", "expected"), PATTERNS)
def test_patterns(folder: Path, pattern: str, expected: list[str]) -> None:
    assert names(f"{folder}/{pattern}") == [f"{folder}/{name}" for name in expected]


def test_patterns_and_prefixes_of_an_object_store(folder: Path) -> None:
    with s3_server(folder.parent) as server:
        root = server.url("rec")
        for path in folder.rglob("*.*"):
            store(root).write(str(path.relative_to(folder)), b"x")
        for pattern, expected in PATTERNS:
            if "?" in pattern:  # in a URL it begins options, which may hold secrets
                continue
            assert names(f"{root}/{pattern}") == [f"{root}/{name}" for name in expected]
        assert names(f"{root}/a") == [f"{root}/a1.wav", f"{root}/a2.flac"]
        assert names(f"{root}/day/a") == [f"{root}/day/a3.wav"]
        with pytest.raises(InputError, match="no such file or folder"):
            names(f"{root}/zebra")


def test_what_fits_nothing_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="no audio fits this pattern"):
        names(f"{folder}/z*.wav")


def test_a_file_whose_name_is_a_pattern(folder: Path) -> None:
    (folder / "a[1].wav").write_bytes(b"x")
    assert names(f"{folder}/a[1].wav") == [f"{folder}/a[1].wav"]


def test_a_list(folder: Path) -> None:
    text = folder / "list.txt"
    text.write_text(f"\ufeff# the first days\n{folder}/b.wav\n\n{folder}/day\n{folder}/b.wav\n")
    expected = [f"{folder}/{name}" for name in ("b.wav", "day/a3.wav", "day/deep/a4.wav")]
    assert names(file_list=str(text)) == expected


def test_a_packed_dataset_gives_what_its_recordings_give(
    checkpoint: str, dataset: Path, tmp_path: Path
) -> None:
    inputs = audio_inputs([str(dataset)])
    assert inputs.found
    assert inputs.audio
    for number, audio in enumerate(inputs.audio):
        with opened(audio) as file:
            (tmp_path / f"{number}.flac").write_bytes(file.read())
    folder = str(tmp_path / "out")
    write_detections([str(dataset)], checkpoint, SETTINGS, output_dir=folder, together=True)
    rows = (tmp_path / "out" / "events.tsv").read_text().splitlines()[1:]
    for number, audio in enumerate(inputs.audio):
        path = str(tmp_path / f"{number}.flac")
        write_detections([path], checkpoint, SETTINGS, output_dir=f"{tmp_path}/{number}")
        alone = (tmp_path / f"{number}" / f"{number}.flac.tsv").read_text().splitlines()[1:]
        of_clip = [row.split("\t")[1:] for row in rows if row.split("\t")[0] == audio.name]
        assert of_clip == [row.split("\t")[1:] for row in alone]


def test_long_and_best_events_scores_and_counts(checkpoint: str, tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", noise(12.01), RATE)
    out, options = tmp_path / "out", {"scores": "npz", "formats": ["csv", "raven"]}
    settings = replace(SETTINGS, min_duration_s=0.4, top=2)
    counts = str(tmp_path / "counts.csv")
    arguments = {"output_dir": str(out), "counts": counts, **options}
    assert write_detections([str(tmp_path / "a.wav")], checkpoint, settings, **arguments) == []
    rows = [line.split(",") for line in (out / "a.wav.csv").read_text().splitlines()[1:]]
    assert len(rows) == 2
    assert all(float(row[2]) - float(row[1]) >= 0.4 - 1e-6 for row in rows)
    assert len((out / "a.wav.selections.txt").read_text().splitlines()) == 3
    with np.load(out / "a.wav.scores.npz") as kept:
        assert kept["classes"].tolist() == ["bird", "car", "dog"]
        assert kept["scores"].shape == (len(kept["edges_s"]) - 1, 3)
        assert kept["edges_s"][-1] == pytest.approx(12.01)
    lines = Path(counts).read_text().splitlines()
    assert sum(int(line.split(",")[1]) for line in lines[1:]) == 2


def test_what_is_wrong_is_told_of_all_arguments(folder: Path) -> None:
    with pytest.raises(InputError, match=r"2 faults: .*none\.wav: no such.*; .*z\*: no audio fits"):
        names(f"{folder}/none.wav", f"{folder}/a1.wav", f"{folder}/z*")


def test_files_of_no_known_kind_and_links_that_lead_nowhere(folder: Path) -> None:
    (folder / "day" / "old.aup").write_bytes(b"x")
    (folder / "day" / "moved.wav").symlink_to("/not/here.wav")
    inputs = audio_inputs([str(folder / "day")])
    assert [Path(audio.name).name for audio in inputs.audio] == ["a3.wav", "a4.wav", "moved.wav"]
    (note,) = inputs.notes
    assert "1 (1 .aup)" in note
    with pytest.raises(FileNotFoundError, match=r"a link that leads nowhere \(to /not/here"):
        opened(inputs.audio[-1]).__enter__()


def test_named_files_are_checked_before_any_of_them_is_done(
    tmp_path: Path, checkpoint: str
) -> None:
    sf.write(tmp_path / "good.wav", noise(1), RATE)
    for name in ("text.wav", "empty.flac"):
        (tmp_path / name).write_bytes(b"nothing" if name == "text.wav" else b"")
    given = [str(tmp_path / name) for name in ("good.wav", "text.wav", "empty.flac")]
    with pytest.raises(DetectError, match=r"2 faults: .*text\.wav: .*; .*empty\.flac: "):
        write_detections(given, checkpoint, SETTINGS, output_dir=str(tmp_path / "found"))
    assert not list(tmp_path.glob("found/*.tsv"))


def test_what_a_pattern_fits_and_is_no_audio_is_told(tmp_path: Path) -> None:
    for name in ("a.wav", "b.xyz", "c.XYZ", "notes.txt", "deep/d.bin"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    found = audio_inputs([str(tmp_path / "set/**/*")])
    assert [each.name for each in found.audio] == [str(tmp_path / "set/a.wav")]
    (note,) = found.notes
    assert note.startswith(f"{tmp_path / 'set/**/*'}: files of kinds that are not read: 3 (")
    assert ".bin" in note and ".xyz" in note
    assert audio_inputs([str(tmp_path / "set/*.wav")]).notes == ()


@pytest.mark.parametrize("ranges", [True, False])
def test_lists_of_urls_from_servers_with_and_without_ranges(
    ranges: bool, checkpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "www").mkdir()
    for n in range(2):
        sf.write(tmp_path / "www" / f"{n}.wav", noise(3.0, seed=n), RATE)
    with http_files(tmp_path / "www") as server:
        server.ranges = ranges
        urls = [server.url(name) for name in ("0.wav", "none.wav", "1.wav")]
        (tmp_path / "list.txt").write_text("\n".join(urls))
        skipped = write_detections(
            [],
            checkpoint,
            SETTINGS,
            file_list=str(tmp_path / "list.txt"),
            output_dir=str(tmp_path / "out"),
        )
        local = [str(tmp_path / "www" / f"{n}.wav") for n in range(2)]
        write_detections(local, checkpoint, SETTINGS, output_dir=str(tmp_path / "local"))
    assert len(skipped) == 1 and "none.wav: no such file" in caplog.text
    found, expected = (
        sorted(path.read_text().replace(part, "") for path in folder.rglob("*.wav.tsv"))
        for folder, part in (
            (tmp_path / "out", f"{server.endpoint}/"),
            (tmp_path / "local", f"{tmp_path}/www/"),
        )
    )
    assert found == expected and len(found) == 2
