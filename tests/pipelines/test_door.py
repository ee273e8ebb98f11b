"""The ways in: `pmam`, `python -m pipelines` and `python -m pipelines.cli` are one program."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOORS = {
    "script": [str(Path(sys.executable).parent / "pmam")],
    "package": [sys.executable, "-m", "pipelines"],
    "module": [sys.executable, "-m", "pipelines.cli"],
}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> list[str]:
    return DOORS[request.param]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_help_and_its_absence(door: list[str]) -> None:
    helped, asked_nothing = run(*door, "--help"), run(*door)
    assert (helped.returncode, asked_nothing.returncode) == (0, 2)
    assert helped.stdout.startswith("usage: pmam COMMAND")
    assert asked_nothing.stdout == helped.stdout


def test_an_unknown_command_is_no_success(door: list[str]) -> None:
    ended = run(*door, "pakc", "a", "b")
    assert ended.returncode == 2
    assert ended.stderr == "pmam: error: no command 'pakc'; did you mean 'pack'?\n"


def test_a_command_does_its_work(door: list[str], tmp_path: Path) -> None:
    """And its errors are one line there, too."""
    ended = run(*door, "verify", str(tmp_path / "nothing"))
    assert ended.returncode == 2
    assert ended.stderr.startswith("pmam: error: not a whole dataset: ")
    assert ended.stderr.count("\n") == 1


def test_version(door: list[str]) -> None:
    told = run(*door, "--version")
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [f"{p} {version(p)}" for p in ("pmam", "ray", "torch")]


def test_version_imports_neither_ray_nor_torch() -> None:
    code = (
        "import sys; from pipelines.cli.main import main; main(['--version']); "
        "print(sorted({'ray', 'torch'} & set(sys.modules)))"
    )
    assert run(sys.executable, "-c", code).stdout.splitlines()[-1] == "[]"
