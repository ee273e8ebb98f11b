"""Which files are heard and which are refused, named, skipped or written, here and on S3."""

import io
import itertools
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import RATE, SETTINGS, detect_files, noise
from s3_server import s3_server

from pipelines.inference.audio_inputs import InputError, audio_inputs
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.stages.detect.file import detect_file
from pipelines.stages.detect.settings import DetectError, DetectSettings
from pipelines.stages.detect.stage import IN_PROCESS_FILES
from pipelines.stages.detect.write import write_detections
from pmam.models.checkpoint import CheckpointError, pack_encoder
from pmam.models.detector import DetectorModel
from shards.audio.decoding import AudioError


def unreadable(folder: Path) -> Iterator[tuple[str, str]]:
    """Names of bad files, and what their errors say."""
    (folder / "empty.wav").write_bytes(b"")
    yield "empty.wav", "empty file"
    sf.write(folder / "no_samples.wav", np.zeros(0), RATE)
    yield "no_samples.wav", "zero samples"
    (folder / "text.wav").write_text("this is no audio\n" * 100)
    yield "text.wav", "cannot be read as audio"
    sf.write(folder / "whole.flac", noise(3), RATE)
    data = (folder / "whole.flac").read_bytes()
    (folder / "cut.flac").write_bytes(data[: len(data) // 2])
    yield "cut.flac", "cut.flac"
    sf.write(folder / "whole.wav", noise(3), RATE)
    (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:-5000])
    yield "cut.wav", "truncated"
    samples = noise(12)
    samples[RATE * 11] = np.nan
    sf.write(folder / "nan.wav", samples, RATE, subtype="FLOAT")
    yield "nan.wav", "NaN or infinite samples"
    sf.write(folder / "huge.wav", noise(1) * 1e30, RATE, subtype="FLOAT")
    yield "huge.wav", "detector gives NaN"


def test_bad_files_are_named_in_one_line(
    detector: DetectorModel, checkpoint: str, tmp_path: Path
) -> None:
    good = str(tmp_path / "good.wav")
    sf.write(good, noise(3), RATE)
    for name, problem in unreadable(tmp_path):
        path = str(tmp_path / name)
        with pytest.raises(AudioError, match=problem):
            detect_file(detector, path, SETTINGS)
        with pytest.raises(DetectError, match=problem) as caught:
            [*detect_files([good, path, good], checkpoint, SETTINGS)]
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_what_is_no_audio_is_told_before_any_work(checkpoint: str, tmp_path: Path) -> None:
    good = str(tmp_path / "good.wav")
    sf.write(good, noise(3), RATE)
    for name, problem in itertools.islice(unreadable(tmp_path), 3):
        with pytest.raises(DetectError, match=problem):
            detect_files([good, str(tmp_path / name)], checkpoint, SETTINGS)


def test_bad_files_can_be_skipped(
    checkpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, missing = (str(tmp_path / name) for name in ("a.wav", "b.wav", "gone.wav"))
    sf.write(good, noise(3), RATE)
    (tmp_path / "b.wav").write_bytes(b"")
    out = io.StringIO()
    skipped = write_detections([bad, good, missing], checkpoint, SETTINGS, on_error="skip", out=out)
    assert len(skipped) == 2
    assert bad in skipped[0]
    assert skipped[1] == f"{missing}: no such file; check the path"
    assert [record.getMessage() for record in caplog.records] == [f"skipped {e}" for e in skipped]
    assert {line.split("\t")[0] for line in out.getvalue().splitlines()} == {"filename", good}


def test_what_can_be_checked_first_is_checked_before_anything_is_written(
    checkpoint: str, detector: DetectorModel, tmp_path: Path
) -> None:
    good = str(tmp_path / "a.wav")
    sf.write(good, noise(1), RATE)
    encoder = pack_encoder(detector.backbone.encoder)
    write_checkpoint(store(str(tmp_path)), "encoder", encoder)
    (tmp_path / "empty").mkdir()
    out = io.StringIO()

    def run(files: list[str], settings: DetectSettings = SETTINGS, **options: str) -> None:
        options = {"checkpoint": checkpoint, **options}
        write_detections(files, settings=settings, out=out, **options)

    with pytest.raises(InputError, match=r"gone\.wav: no such file or folder"):
        run([good, str(tmp_path / "gone.wav")])
    with pytest.raises(InputError, match="got no files"):
        run([])
    with pytest.raises(ValueError, match="empty: got no audio files"):
        run([str(tmp_path / "empty")])
    with pytest.raises(CheckpointError, match="no such file; expected a checkpoint"):
        run([good], checkpoint=str(tmp_path / "none"))
    with pytest.raises(CheckpointError, match="expected a detector"):
        run([good], checkpoint=str(tmp_path / "encoder"))
    with pytest.raises(ValueError, match=r"'rts': expected one of tsv, csv, json, .*audacity"):
        run([good], formats=["rts"])
    with pytest.raises(DetectError, match="'cat': expected one of bird, car, dog"):
        run([good], DetectSettings(median_by_class_s={"cat": 1.0}))
    with pytest.raises(ValueError, match=r"median width -1\.0 s"):
        run([good], DetectSettings(median_s=-1.0))
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": 1.0},
        {"threshold": -0.1},
        {"threshold": math.nan},
        {"window_s": 2.0, "overlap_s": 2.0},
        {"window_s": math.nan},
        {"window_s": math.inf},
        {"overlap_s": -1.0},
        {"batch": 0},
    ],
)
def test_settings_that_mean_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad)).split("_")[0]):
        DetectSettings(**bad)  # type: ignore[arg-type]


def test_folders_hold_their_audio_sorted_and_once(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/10.FLAC", "a.ogg", ".hidden.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    folder = str(tmp_path)
    expected = [f"{folder}/b/2.wav", f"{folder}/a.ogg", f"{folder}/b/10.FLAC"]
    found = audio_inputs([f"{folder}/b/2.wav", folder, f"{folder}/a.ogg"])
    assert [audio.name for audio in found.audio] == expected


def test_awkward_names(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["-rf.wav", "a\tb\n.wav", "[red]%s{}[!red].wav", "Ä 鳥.wav", b"caf\xe9.wav".decode(
        "utf-8", "surrogateescape")]  # fmt: skip
    for name in names:
        sf.write((tmp_path / name).open("wb"), noise(1), RATE, format="WAV")
    found = list(detect_files(names, checkpoint, SETTINGS))
    assert [result.file for result in found] == names
    out = io.StringIO()
    write_detections(names, checkpoint, SETTINGS, formats=["json"], out=out)
    written = {event["filename"] for event in json.loads(out.getvalue())}
    assert written == {*names[:4], "caf\\udce9.wav"}
    out.getvalue().encode()  # raises where a terminal or pipe would


def test_many_files_go_through_ray_in_order_with_the_same_result(
    checkpoint: str, tmp_path: Path, ray_session: None
) -> None:
    files = []
    for number in range(IN_PROCESS_FILES + 2):
        # the first takes longest: it must still come first
        path = tmp_path / f"{number:02d}.wav"
        sf.write(path, noise(20 if number == 0 else 1, seed=number), RATE)
        files.append(str(path))
    (tmp_path / "05.wav").write_bytes(b"")
    together = list(detect_files(files, checkpoint, SETTINGS, on_error="skip"))
    apart = [next(detect_files([file], checkpoint, SETTINGS, on_error="skip")) for file in files]
    assert [result.file for result in together] == files
    for there, here in zip(together, apart, strict=True):
        assert there.error == here.error
        assert [(e.onset_s, e.offset_s, e.label) for e in there.events] == [
            (e.onset_s, e.offset_s, e.label) for e in here.events
        ]
    assert together[5].error is not None


def test_an_object_store_serves_audio_and_takes_texts(checkpoint: str, tmp_path: Path) -> None:
    local = tmp_path / "a.flac"
    sf.write(local, noise(12, 44100), 44100, subtype="PCM_24")
    (tmp_path / "b.wav").write_bytes(local.read_bytes()[:1000])
    with s3_server(tmp_path) as server:
        for name in ("rec/a.flac", "rec/deep/b.wav"):
            data = (tmp_path / Path(name).name).read_bytes()
            store(server.url("rec")).write(name.removeprefix("rec/"), data)
        good, bad = server.url("rec/a.flac"), server.url("rec/deep/b.wav")
        with pytest.raises(InputError, match=r"s3://bucket/rec/c\.wav: no such file or folder"):
            audio_inputs([server.url("rec/c.wav")])
        skipped = write_detections(
            [server.url("rec")],
            checkpoint,
            SETTINGS,
            formats=["audacity"],
            output_dir=server.url("labels"),
            on_error="skip",
        )
        names = store(server.url("labels")).names()
        assert [name for name in names if not name.startswith("detect-journal/")] == [
            "a.flac.txt",
            "skipped.tsv",
        ]
        (error,) = skipped
        assert error.startswith(bad)
        text = store(server.url("labels")).read("a.flac.txt").decode()
        remote = next(detect_files([good], checkpoint, SETTINGS)).events
    here = next(detect_files([str(local)], checkpoint, SETTINGS)).events
    assert remote == here
    assert [line.split("\t")[2] for line in text.splitlines()] == [e.label for e in here]
