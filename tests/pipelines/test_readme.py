"""Each Python snippet of the README runs, in a folder that holds what it reads."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from packing import pack
from tiny_models import detector

from pmam.models.checkpoint import pack_detector
from shards.clip import Clip, Event

README = Path(__file__).resolve().parents[2] / "README.md"
SECTION = "## In Python"


def snippets() -> str:
    """All indented lines of the section, in their order: one program."""
    text = README.read_text().partition(f"{SECTION}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"^    (.*)$|^$", text, re.MULTILINE))


def test_snippets_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = snippets()
    assert program.count("import") > 8
    model = detector(("cat", "dog"))
    (tmp_path / "detector.safetensors").write_bytes(pack_detector(model).to_bytes())
    noise = 0.1 * np.random.default_rng(0).standard_normal(44100 * 3)
    sf.write(tmp_path / "day1.wav", noise, 44100)
    (tmp_path / "day1.txt").write_text("0.5\t1.25\tdog\n")
    clips = []
    for number in range(4):
        sf.write(tmp_path / f"{number}.wav", noise, 44100)
        events = (Event(0.5, 1.25, "dog"),) if number % 2 else ()
        clips.append(
            Clip(source_id=str(number), audio=f"{number}.wav", subset="strong", events=events)
        )
    pack(tmp_path, clips, tmp_path / "dataset")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(program, str(README), "exec"), names)  # noqa: S102
    assert "FileEvents" not in capsys.readouterr().out
    (file,) = names["files"]  # type: ignore[misc]
    assert file.events[0].label == "dog"
    assert len(names["labels"]) == 500  # type: ignore[arg-type]
