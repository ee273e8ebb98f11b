"""Runs over many files that are killed, go on, and refuse what is in their way."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from detect_cases import RATE, SETTINGS, noise
from s3_server import s3_server

from pipelines.runtime.files.urls import store
from pipelines.stages.detect import stage, write
from pipelines.stages.detect.journal import FOLDER, JournalError
from pipelines.stages.detect.settings import DetectSettings
from pipelines.stages.detect.write import write_detections
from shards.annotations.format import Content
from shards.annotations.registry import read


class Killed(BaseException):
    """What stands for SIGKILL inside one process."""


def results(folder: Path) -> dict[str, bytes]:
    """All files of a folder but the journal."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and FOLDER not in path.parts
    }


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(12):
        (folder / f"day{number % 3}").mkdir(exist_ok=True)
        sf.write(folder / f"day{number % 3}/{number:02d}.wav", noise(1, seed=number), RATE)
    (folder / "day1" / "broken.wav").write_bytes(b"RIFF")
    return folder


OPTIONS: dict[str, Any] = {"formats": ["tsv", "raven"], "scores": "npz"}


@pytest.mark.parametrize("together", [False, True])
def test_killed_at_any_moment_it_goes_on(
    checkpoint: str,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    together: bool,
) -> None:
    options = {**OPTIONS, "together": together}
    options["formats"] = ["tsv"] if together else OPTIONS["formats"]
    whole = tmp_path / "whole"
    skipped = write_detections(
        [str(recordings)], checkpoint, SETTINGS, output_dir=str(whole), **options
    )
    assert len(skipped) == 1
    started: Counter[str] = Counter()
    draw = random.Random(3)
    attempt, add = stage.attempt, write.Journal.add

    def dying(detector: Any, audio: Any, *arguments: Any, **more: Any) -> Any:
        if draw.random() < 0.2:
            raise Killed
        started[audio.name] += 1
        return attempt(detector, audio, *arguments, **more)

    def half_added(journal: Any, entry: Any) -> None:
        if draw.random() < 0.1:
            with (Path(journal.store.root) / FOLDER / "done.jsonl").open("ab") as file:
                file.write(json.dumps(entry).encode()[: draw.randrange(1, 40)])
            raise Killed
        add(journal, entry)

    monkeypatch.setattr(stage, "attempt", dying)
    monkeypatch.setattr(write.Journal, "add", half_added)
    kills = 0
    out = tmp_path / "out"
    while True:
        try:
            again = write_detections(
                [str(recordings)], checkpoint, SETTINGS, output_dir=str(out), **options
            )
            break
        except Killed:
            kills += 1
    assert kills > 2
    assert again == skipped
    assert results(out) == results(whole)
    assert len(started) == 13
    lines = (out / FOLDER / "done.jsonl").read_text().splitlines()
    done = [json.loads(line)["file"] for line in lines]
    assert len(done) == len(set(done)) == 12
    started.clear()
    monkeypatch.setattr(stage, "attempt", attempt)
    write_detections([str(recordings)], checkpoint, SETTINGS, output_dir=str(out), **options)
    assert results(out) == results(whole)


def test_what_is_done_is_not_done_again(
    checkpoint: str, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "out")
    write_detections([str(recordings)], checkpoint, SETTINGS, output_dir=out)
    seen = []
    attempt = stage.attempt

    def watched(detector: Any, audio: Any, *arguments: Any, **more: Any) -> Any:
        seen.append(Path(audio.name).name)
        return attempt(detector, audio, *arguments, **more)

    monkeypatch.setattr(stage, "attempt", watched)
    write_detections([str(recordings)], checkpoint, SETTINGS, output_dir=out)
    assert seen == ["broken.wav"]  # it may have been repaired


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"formats": ["csv"]}, 'formats was \\["tsv"\\], now \\["csv"\\]'),
        ({"settings": DetectSettings(threshold=0.4)}, r"settings\.threshold was null, now 0\.4"),
        ({"files": ["day0"]}, "files was 13, now 4"),
    ],
)
def test_results_of_another_run_are_not_touched(
    checkpoint: str, recordings: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    out = tmp_path / "out"
    write_detections([str(recordings)], checkpoint, SETTINGS, output_dir=str(out))
    before = results(out)
    settings = change.pop("settings", SETTINGS)
    files = [str(recordings / name) for name in change.pop("files", [""])]
    with pytest.raises(JournalError, match=told) as error:
        write_detections(files, checkpoint, settings, output_dir=str(out), **change)
    assert "--overwrite" in str(error.value)
    assert results(out) == before
    write_detections(files, checkpoint, settings, output_dir=str(out), overwrite=True, **change)
    write_detections(files, checkpoint, settings, output_dir=str(out), **change)  # goes on


def test_other_files_in_the_way_are_not_touched(
    checkpoint: str, recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "day0").mkdir()
    (tmp_path / "day0" / "00.wav.tsv").write_text("mine")
    with pytest.raises(JournalError, match=r"holds day0/00\.wav\.tsv already"):
        write_detections([str(recordings)], checkpoint, SETTINGS, output_dir=str(tmp_path))
    assert results(tmp_path) == {"day0/00.wav.tsv": b"mine"}


def test_an_object_store_keeps_a_journal_too(
    checkpoint: str, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tmp_path / "whole"
    files = [str(recordings / "day0"), str(recordings / "day1")]
    write_detections(files, checkpoint, SETTINGS, output_dir=str(whole))
    attempt, left = stage.attempt, [5]

    def dying(*arguments: Any, **more: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return attempt(*arguments, **more)

    with s3_server(tmp_path) as server:
        out = server.url("labels")
        monkeypatch.setattr(stage, "attempt", dying)
        with pytest.raises(Killed):
            write_detections(files, checkpoint, SETTINGS, output_dir=out)
        monkeypatch.setattr(stage, "attempt", attempt)
        write_detections(files, checkpoint, SETTINGS, output_dir=out)
        there = store(out)
        found = {name: there.read(name) for name in there.names() if not name.startswith(FOLDER)}
    assert found == results(whole)


@pytest.mark.slow
def test_killed_processes_over_three_thousand_files(checkpoint: str, tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    draw = np.random.default_rng(0)
    for number in range(3000):
        samples = noise(1, seed=number % 7)[: int(draw.integers(2000, RATE))]
        sf.write(recordings / f"{number:04d}.wav", samples, RATE)
    command = [sys.executable, "-m", "pipelines", "detect", str(recordings)]
    command += ["--checkpoint", checkpoint, "--format", "tsv,audacity", "--output-dir"]
    out, kills = tmp_path / "out", 0
    while True:
        # a session of its own, so that Ray's processes can be ended with it
        process = subprocess.Popen([*command, str(out)], start_new_session=True)
        wait_s = float(draw.uniform(15, 60)) if kills < 6 else 3600.0
        end_s = time.monotonic() + wait_s
        while process.poll() is None and time.monotonic() < end_s:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills >= 1
    written = results(out)
    assert len(written) == 6000
    lines = (out / FOLDER / "done.jsonl").read_text().splitlines()
    names = [json.loads(line)["file"] for line in lines]
    assert len(names) == len(set(names)) == 3000
    for name, data in written.items():
        if name.endswith(".tsv"):
            (found,) = read(Content(data=data, path=name, audio=name), "tsv")
            assert Path(found.file).name == name.removesuffix(".tsv")
