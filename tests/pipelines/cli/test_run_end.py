"""What `pmam run` says at its end: detector, pictures, and what to do next."""

import shlex
from pathlib import Path

import pytest

from pipelines.cli.main import COMMANDS
from pipelines.cli.run import _print_end


@pytest.mark.parametrize("by_uv", [False, True])
def test_the_end_names_detector_pictures_and_the_next_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, by_uv: bool
) -> None:
    """The commands can be copied as they are, below `uv run` and without it."""
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)
    if by_uv:
        monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    program = ["uv", "run", "pmam"] if by_uv else ["pmam"]
    out = tmp_path / "my run"
    names = [
        *("dataset/dataset.json", "evaluate/psds.png", "evaluate.set-aside-1/psds.png"),
        *(f"fit-{number}/stage.json" for number in (1, 2, 10)),
        "fit-11/plan.json",  # not finished
    ]
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("{}")
    _print_end(f"{out}/report/report.html", f"{out}/finetune/detector.safetensors", str(out))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split(maxsplit=1) == ["report", f"{out}/report/report.html"]
    assert lines[1].split(maxsplit=1) == ["detector", f"{out}/finetune/detector.safetensors"]
    assert [line.split(maxsplit=1)[1] for line in lines if line.startswith("picture")] == [
        f"{out}/evaluate/psds.png"
    ]
    commands = [shlex.split(line) for line in lines[lines.index("next") + 1 :]]
    given = [command[len(program) :] for command in commands]
    assert [command[: len(program)] for command in commands] == [program] * 3
    assert all(command[0] in COMMANDS for command in given)
    assert given[1][:2] == ["prototypes", f"{out}/fit-10"]
