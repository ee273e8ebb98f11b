"""Whose fault an error is: a person's, who gets one line, or ours, whose traceback stays."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.cli import main as command_line
from pipelines.cli.main import main
from pipelines.runtime.errors import MissingFileError, PipelineError, user_error

ROOT = Path(__file__).resolve().parents[3]


def test_a_persons_error_is_found_in_what_it_is_wrapped_in() -> None:
    inner = PipelineError("k: got -1; expected 1 or more")
    outer = RuntimeError("a worker failed")
    outer.__cause__ = inner
    assert user_error(outer) is inner
    assert user_error(inner) is inner
    assert user_error(MissingFileError("a: no such file")) is not None
    assert user_error(MemoryError()) is not None
    assert user_error(OSError(errno.ENOSPC, "No space left on device", "a")) is not None


@pytest.mark.parametrize(
    "bug", [KeyError("k"), TypeError("t"), AssertionError(), ValueError("v"), OSError("o")]
)
def test_anything_else_is_a_bug(bug: Exception) -> None:
    wrapped = RuntimeError("a worker failed")
    wrapped.__cause__ = bug
    assert user_error(bug) is None and user_error(wrapped) is None


def test_a_bug_keeps_its_traceback_and_says_that_it_is_one() -> None:
    code = (
        "from pipelines.cli import main\n"
        "def broken(arguments): raise KeyError('inner')\n"
        "main._load = lambda where: broken\n"
        "main.main(['pack', 'a', 'b'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    lines = ended.stderr.strip().splitlines()
    assert lines[0].startswith("Traceback") and "KeyError: 'inner'" in lines
    assert lines[-1].startswith("pmam: this is a bug in pmam, not a mistake of yours")


def test_a_persons_error_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(arguments: object) -> None:
        raise PipelineError("got 1;\n expected 2")

    monkeypatch.setattr(command_line, "_load", lambda where: refused)
    with pytest.raises(SystemExit) as ended:
        main(["pack"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().endswith("error: got 1; expected 2")
