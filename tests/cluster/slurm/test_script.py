"""The batch script, run with stand-ins for Slurm's programs."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.slurm.script import rendered
from cluster.slurm.settings import SlurmError, SlurmSettings

ODD = "it's \"#: $HOME $(date) `date` \\ * \n é"
# What Slurm and Ray are asked, and the command, which a `ray symmetric-run` of one node runs.
RAY = """#!{python}
import json, os, subprocess, sys
cut = sys.argv.index("--")
told = {{"ray": sys.argv[1:cut], "command": sys.argv[cut + 1:],
        "token": open(os.environ["RAY_AUTH_TOKEN_PATH"]).read().strip(),
        "mode": os.stat(os.environ["RAY_AUTH_TOKEN_PATH"]).st_mode & 0o777,
        "A": os.environ.get("A"), "mode_of_auth": os.environ["RAY_AUTH_MODE"]}}
json.dump(told, open({told!r}, "w"))
if {starts}:
    sys.exit(subprocess.run(sys.argv[cut + 1:]).returncode)
"""
PMAM = """#!{python}
import json, os, sys
json.dump({{"words": sys.argv[1:], "address": os.environ["RAY_ADDRESS"]}}, open({words!r}, "w"))
sys.exit({status})
"""
SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""


def program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def run(
    folder: Path, script: str, *, status: int = 0, starts: bool = True
) -> tuple[subprocess.CompletedProcess[str], Any, Any]:
    programs, python = folder / "bin", sys.executable
    programs.mkdir()
    told, words = str(folder / "told.json"), str(folder / "words.json")
    program(programs / "ray", RAY.format(python=python, told=told, starts=starts))
    program(programs / "pmam", PMAM.format(python=python, words=words, status=status))
    program(programs / "scontrol", '#!/bin/sh\nprintf "node7\\nnode8\\n"\n')
    program(
        programs / "srun", '#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n'
    )
    (folder / "run.sbatch").write_text(script)
    slurm = {
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NODELIST": "node[7-8]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_ON_NODE": "16",
    }
    path = os.pathsep.join([str(programs), str(Path(python).parent), os.environ["PATH"]])
    ended = subprocess.run(
        ["bash", "run.sbatch"],
        cwd=folder,
        env={**os.environ, **slurm, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )

    def read(name: str) -> Any:
        return json.loads(Path(name).read_text()) if Path(name).exists() else None

    return ended, read(told), read(words)


def script(*command: str, **chosen: Any) -> str:
    return rendered(
        SlurmSettings(**chosen),
        name="pmam-1",
        gpus=0,
        command=("pmam", *command),
        variables={"A": ODD},
    )


def test_the_command_runs_as_it_was_given(tmp_path: Path) -> None:
    ended, told, words = run(tmp_path, script("run", ODD, "--out", "s3://bucket/x"))
    assert ended.returncode == 0, ended.stderr
    assert words["words"] == ["run", ODD, "--out", "s3://bucket/x"]
    assert words["address"] == "node7:32345"
    asked = ["symmetric-run", "--address", "node7:32345", "--min-nodes", "2", "--num-cpus", "16"]
    assert told["ray"] == asked
    assert (told["A"], told["mode_of_auth"], told["mode"]) == (ODD, "token", 0o600)
    assert len(told["token"]) == 64
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".pmam")]
    assert left == []  # nor is the token in what is printed
    assert told["token"] not in ended.stdout + ended.stderr


def test_the_status_is_that_of_the_command(tmp_path: Path) -> None:
    ended, _, words = run(tmp_path, script("run"), status=3)
    assert words is not None
    assert ended.returncode == 3


def test_a_ray_that_does_not_start_is_no_success(tmp_path: Path) -> None:
    """`ray symmetric-run` ends with status 0 then."""
    ended, told, words = run(tmp_path, script("run"), starts=False)
    assert told is not None and words is None
    assert ended.returncode == 1
    assert "Ray did not start on all 2 nodes" in ended.stderr


def test_what_sbatch_reads() -> None:
    text = script("run", partition="gpu", account="me", hours=1.25, options=("constraint=a100",))
    lines = [line for line in text.splitlines() if line.startswith("#SBATCH")]
    assert "#SBATCH --time=1:15:00" in lines
    assert {"#SBATCH --partition=gpu", "#SBATCH --account=me", "#SBATCH --constraint=a100"} <= {
        *lines
    }
    assert not any("gpus" in line for line in lines)
    assert text.splitlines()[: len(lines) + 1][1:] == lines  # sbatch stops at the first other line


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": 0},
        {"hours": 0.0},
        {"partition": "a b"},
        {"account": "x\n#SBATCH --uid=0"},
        {"options": ("a;b",)},
    ],
)
def test_what_cannot_be_chosen(wrong: dict[str, Any]) -> None:
    with pytest.raises(SlurmError, match="expected"):
        SlurmSettings(**wrong)
