"""Bad input through the real commands: one line that names it, status 2, nothing deleted."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from bad_input_cases import RATE, flip, truncated, write_strong

from pipelines.cli.main import main
from shards.sources import SOURCES

pytestmark = pytest.mark.usefixtures("ray_session")


def unreadable(source: Path) -> None:
    (source / "weak" / "b.flac").write_bytes(b"this is a text")


def no_bytes(source: Path) -> None:
    (source / "weak" / "b.flac").write_bytes(b"")


def no_samples(source: Path) -> None:
    (source / "weak" / "b.flac").unlink()
    sf.write(source / "weak" / "b.wav", np.zeros(0), RATE)


def not_finite(source: Path) -> None:
    samples = np.zeros(RATE // 2, np.float32)
    samples[4000] = np.nan
    (source / "weak" / "b.flac").unlink()
    sf.write(source / "weak" / "b.wav", samples, RATE, subtype="FLOAT")


BAD_AUDIO = {
    "b.flac: cannot be read as audio": unreadable,
    "b.flac: got an empty file": no_bytes,
    "b.wav: holds zero samples": no_samples,
    "b.wav: got NaN or infinite samples": not_finite,  # found by a worker, which decodes
    "b.flac: damaged after": truncated,  # by a worker, too
}


@pytest.mark.parametrize("said", BAD_AUDIO)
def test_bad_audio(source: Path, tmp_path: Path, refused: Callable[..., str], said: str) -> None:
    BAD_AUDIO[said](source)
    assert said in (line := refused("pack", source, tmp_path / "out"))
    assert any(word in line for word in ("copy it again", "restore it", "convert", "leave it out"))
    assert not (tmp_path / "out" / "dataset.json").exists()


BAD_STRONG_ROWS = {
    "expected the onset before the offset": "s.flac\t0.3\t0.1\tdog",
    "expected an onset of 0 s or later": "s.flac\t-0.1\t0.3\tdog",
    "expected seconds": "s.flac\tsoon\t0.3\tdog",
    "expected finite times": "s.flac\tnan\t0.3\tdog",
    "the clip ends at 0.500 s": "s.flac\t0.6\t0.7\tdog",
    "got the label ''": "s.flac\t0.1\t0.3\t",
}


@pytest.mark.parametrize("said", BAD_STRONG_ROWS)
def test_bad_events(source: Path, tmp_path: Path, refused: Callable[..., str], said: str) -> None:
    write_strong(source, BAD_STRONG_ROWS[said])
    line = refused("pack", source, tmp_path / "out")
    assert said in line
    assert "strong/s" in line or "row 2 (s." in line
    assert "correct" in line


def test_a_missing_column(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    write_strong(source, "s.flac\t0.1\tdog", header="filename\tonset\tevent_label")
    assert "strong.tsv: got no column offset; add it" in refused("pack", source, tmp_path / "out")


def test_one_stem_twice(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    sf.write(source / "weak" / "a.wav", np.zeros(800), RATE)
    line = refused("pack", source, tmp_path / "out")
    assert "weak/a.flac and weak/a.wav: names that differ in their suffix alone" in line
    assert "remove" not in line


def test_a_recording_listed_twice(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "audio").mkdir()
    sf.write(tmp_path / "audio" / "x.wav", np.zeros(800), RATE)
    table = tmp_path / "t.csv"
    table.write_text("filename,category\nx.wav,dog\nx.wav,cat\n")
    line = refused("soundscapes", tmp_path, tmp_path / "out", "--table", "t.csv")
    assert "x.wav' is listed twice; remove one of its rows" in line


def test_a_class_outside_the_list(
    models: Path, source: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    line = refused("soundscapes", source, tmp_path / "out", "--background-classes", "rain")
    assert "background classes: got 'rain'; expected some of strong, weak" in line
    line = refused(
        *("detect", source / "weak", "--checkpoint", models / "detector"),
        *("--median-by-class-s", "horse", "0.5"),
    )
    assert "'horse': expected one of cat, dog" in line


@pytest.mark.parametrize(("make", "said"), [(True, "no audio files"), (False, "missing")])
def test_no_recordings(
    tmp_path: Path, refused: Callable[..., str], models: Path, make: bool, said: str
) -> None:
    folder = tmp_path / "missing"
    if make:
        folder.mkdir()
    for command in (("pack", folder, tmp_path / "out"), ("soundscapes", folder, tmp_path / "two")):
        line = refused(*command)
        assert str(folder) in line
    assert said in refused("detect", folder, "--checkpoint", models / "detector")


def test_an_unknown_source(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    line = refused("pack", source, tmp_path / "out", "--source", "foldr")
    assert f"source 'foldr': expected one of {', '.join(sorted(SOURCES))}" in line


def test_skipping(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is left out is counted, listed and recorded; the rest is a whole dataset."""
    truncated(source)
    write_strong(source, "s.flac\t0.3\t0.1\tghost")
    with open(os.fsencode(source) + b"/weak/caf\xe9.wav", "wb") as file:  # noqa: PTH123
        file.write(b"RIFF")
    out = tmp_path / "out"
    main(["pack", str(source), str(out), "--on-error", "skip"])
    said = capfd.readouterr().out
    assert "skipped: 3" in said
    assert "weak/b: weak/b.flac: damaged after" in said
    assert "strong/s: strong/s: event 'ghost' from 0.3 s to 0.1 s" in said
    assert "weak/caf\\xe9.wav: its name is not UTF-8" in said
    assert "classes of no clip that was kept, left out: " in said
    recorded = json.loads((out / "stage.json").read_text())["result"]
    assert {entry[0] for entry in recorded["skipped"]} == {
        "weak/b",
        "strong/s",
        "weak/caf\\xe9.wav",
    }
    assert "ghost" not in json.loads((out / "dataset.json").read_text())["classes"]
    assert recorded["clips"] == 2
    main(["verify", str(out)])
    assert "2 clips in 1 shards, 0 problems" in capfd.readouterr().out


def test_verify_finds_a_flipped_byte(
    dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "copy"))
    (shard,) = copy.glob("shards/*.tar")
    flip(shard, 3000)
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["verify", str(copy)])
    out, err = capfd.readouterr()
    assert ended.value.code == 1
    assert f"checksum: shards/{shard.name}" in out
    assert err == ""


def test_what_is_no_dataset(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    for arguments in (("verify", source), ("embed", source, tmp_path / "out")):
        assert f"dataset.json missing under {source}" in refused(*arguments)
