"""`pmam submit --render`: what is printed, what is refused, and sizes by the preset."""

import shlex
from pathlib import Path

import pytest
import yaml
from kuberay import validator

from pipelines.cli.main import main

RUN = ["run", "--data", "s3://bucket/data", "--out", "s3://bucket/run"]


def rendered(capsys: pytest.CaptureFixture[str], *options: str, kind: str = "kubernetes") -> str:
    main(["submit", "--render", kind, *options])
    return capsys.readouterr().out


@pytest.mark.parametrize("preset", ["own_data", "paper"])
def test_a_preset_decides_the_pods(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = yaml.safe_load(rendered(capsys, "--", *RUN, "--preset", preset))
    validator("RayJob").validate(found)
    groups = found["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    names = {group["groupName"]: group for group in groups}
    assert ("gpu" in names) == (preset == "paper")
    assert shlex.split(found["spec"]["entrypoint"]) == ["pmam", *RUN, "--preset", preset]
    if preset == "paper":
        assert (names["gpu"]["minReplicas"], names["gpu"]["maxReplicas"]) == (0, 1)
        memory = names["gpu"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        assert int(memory.removesuffix("Gi")) >= 25  # 16 GB for a worker, and Ray's own


def test_settings_decide_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    more = ["--finetune.training.workers", "2,4", "--finetune.training.gpus-per-worker", "1"]
    more += ["--finetune.training.cpus-per-worker", "7"]
    found = yaml.safe_load(rendered(capsys, "--kubernetes.gpus", "2", "--", *RUN, *more))
    _, gpu = found["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    limits = gpu["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert (gpu["maxReplicas"], limits["cpu"], limits["nvidia.com/gpu"]) == (2, 7, 2)
    script = rendered(capsys, "--slurm.nodes", "2", "--", *RUN, *more, kind="slurm")
    assert "#SBATCH --gpus-per-node=2\n" in script
    assert shlex.join(["pmam", *RUN, *more]) in script


def test_a_cluster_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    found = yaml.safe_load(rendered(capsys, "--kubernetes.kind", "cluster", "--env", "A=b"))
    validator("RayCluster").validate(found)
    assert found["kind"] == "RayCluster"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--env", "AWS_SECRET_ACCESS_KEY=x", "--", *RUN], "it names a secret"),
        (["--env", "X=held-in-this-process", "--", *RUN], "the value of MY_TOKEN"),
        (["--", *RUN, "--soundscapes.name", "held-in-this-process"], "the value of MY_TOKEN"),
        (["--", *RUN[:2], "s3://me:mine@bucket/data", *RUN[3:]], "URL with credentials"),
        (["--", *RUN[:-1], "here"], "a path of this machine"),
        (["--"], "no command"),
    ],
)
def test_what_is_refused(
    options: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Nor is it sent: keys in a job's words were once."""
    monkeypatch.setenv("MY_TOKEN", "held-in-this-process")
    monkeypatch.chdir(tmp_path)
    for sent in (["--render", "kubernetes"], ["--render", "slurm"], []):
        if not sent and "path" in said:  # the cluster is asked first whether it is this machine
            continue
        with pytest.raises(SystemExit) as ended:
            main(["submit", *sent, *options])
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert said in printed.err
        assert "held-in-this-process" not in printed.err
