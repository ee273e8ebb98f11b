"""Commands that are sent to the cluster from a machine that only sends them."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from drill import ROOT, Drill, Outcome, settings
from tiny_run import write_config

from cluster.storage.filesystems import filesystem
from shards.io.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]
JOB_S = 900.0


def pmam(drill: Drill, *words: str, keys: bool = True) -> subprocess.CompletedProcess[str]:
    """A command of a machine that has the cluster's token, and keys of the store or none."""
    environment = dict(drill.cluster.environment)
    if not keys:
        environment = {k: v for k, v in environment.items() if not k.startswith("AWS_")}
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *words],
        cwd=ROOT,
        env={**environment, "RAY_API_SERVER_ADDRESS": drill.cluster.job_server},
        capture_output=True,
        text=True,
        timeout=JOB_S,
    )


@pytest.fixture(scope="module")
def config(drill: Drill, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The chain's settings, in the store."""
    path = write_config(tmp_path_factory.mktemp("config") / "chain.json", settings())
    Store(*filesystem(drill.s3.url("configs"))).write("chain.json", path.read_bytes())
    return drill.s3.url("configs/chain.json")


def test_a_submitted_run(drill: Drill, undisturbed: Outcome, config: str) -> None:
    """Its log is what a person sees; its bytes are those of a driver on the cluster."""
    began, name = time.monotonic(), "submitted"
    ended = pmam(drill, "submit", "--", "run", "--config", config, "--out", drill.s3.url(name))
    drill.log(name).write_text(ended.stderr + ended.stdout)
    assert ended.returncode == 0, ended.stderr[-4000:]
    drill.survived("submitted", drill.outcome(name, time.monotonic() - began), undisturbed)
    assert "\x1b" not in ended.stdout + ended.stderr
    lines = [line for line in ended.stderr.splitlines() if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert len(lines) == len(set(lines)) > 10
    assert ended.stdout.splitlines()[0].startswith("job      pmam-")
    assert f"result   {drill.s3.url(name)}" in ended.stdout
    listed = pmam(drill, "jobs", "list")
    assert f"run --config {config}" in " ".join(listed.stdout.split())


def test_a_job_that_is_stopped_and_resumed(drill: Drill, undisturbed: Outcome, config: str) -> None:
    began, name = time.monotonic(), "stopped"
    drill.begun(name, "embed-1")
    words = ["submit", "--no-wait", "--", "run", "--config", config, "--out", drill.s3.url(name)]
    with drill.slow():
        sent = pmam(drill, *words)
        assert sent.returncode == 0, sent.stderr
        job = sent.stdout.strip()
        again = pmam(drill, *words)
        assert again.returncode == 2
        assert f"{job} runs already" in again.stderr
        while not drill.files(name, "embed-1/parts/*"):
            assert time.monotonic() < began + JOB_S, pmam(drill, "jobs", "log", job).stdout
            time.sleep(0.1)
        stopped = pmam(drill, "jobs", "stop", job)
    assert stopped.returncode == 0, stopped.stderr
    assert f"{job} stopped" in stopped.stdout
    followed = pmam(drill, "jobs", "log", job)
    assert followed.returncode == 3
    resumed = pmam(drill, "jobs", "resume", job)
    assert resumed.returncode == 0, resumed.stderr[-4000:]
    drill.survived(
        "job stopped, resumed", drill.outcome(name, time.monotonic() - began), undisturbed
    )


def test_a_job_that_fails(drill: Drill) -> None:
    """Sent from where there are no keys: the nodes have them."""
    words = ["embed", drill.s3.url("nothing"), drill.s3.url("failed")]
    ended = pmam(drill, "submit", "--", *words, keys=False)
    assert ended.returncode == 1
    assert "pmam: error: " in ended.stderr
    assert "resume   pmam jobs resume" in ended.stdout


def test_rays_own_program(drill: Drill, undisturbed: Outcome, config: str) -> None:
    """`ray job submit` from an environment that has Ray alone does the same."""
    name = "by-ray"
    drill.begun(name, "evaluate")
    command = [str(Path(sys.executable).parent / "ray"), "job", "submit", "--working-dir", "."]
    command += ["--", "python", "-m", "pipelines", "run", "--config", config]
    keyless = {k: v for k, v in drill.cluster.environment.items() if not k.startswith("AWS_")}
    ended = subprocess.run(
        [*command, "--out", drill.s3.url(name)],
        cwd=ROOT,
        env={**keyless, "RAY_API_SERVER_ADDRESS": drill.cluster.job_server},
        capture_output=True,
        text=True,
        timeout=JOB_S,
    )
    assert ended.returncode == 0, (ended.stdout + ended.stderr)[-4000:]
    assert drill.outcome(name, 0.0).files == undisturbed.files


@pytest.mark.parametrize("workers", ["2", "1,2"])
def test_workers_on_several_nodes(
    workers: str, drill: Drill, undisturbed: Outcome, config: str
) -> None:
    """They train what one trains, to float noise; so do as many as there are."""
    began, name = time.monotonic(), f"workers-{workers.replace(',', '-')}"
    drill.begun(name, "finetune", "score", "evaluate")
    process = drill.start(name, more=["--finetune.training.workers", workers])
    took_s = drill.finish(name, process, began).took_s
    one, several = (_losses(drill, each) for each in ("undisturbed", name))
    worst = max(abs(a - b) for a, b in zip(one, several, strict=True))
    drill.table.add(f"{workers} Train workers", took_s, f"losses differ by {worst:.1e} at most")
    assert len(one) >= 4
    assert several == pytest.approx(one, abs=1e-4)


def _losses(drill: Drill, name: str) -> list[float]:
    files = sorted(drill.files(name, "finetune/metrics/*.jsonl"))
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def test_a_run_on_one_machine(drill: Drill, undisturbed: Outcome, config: str) -> None:
    """Without a cluster, to float noise the same."""
    began, name = time.monotonic(), "alone"
    path = drill.folder / "chain.json"
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pipelines", "run", "--config", str(path)]
    ended = subprocess.run(
        [*command, "--out", drill.s3.url(name)], cwd=ROOT, env=environment, capture_output=True
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    cluster, alone = (_losses(drill, each) for each in ("undisturbed", name))
    worst = max(abs(a - b) for a, b in zip(cluster, alone, strict=True))
    took = time.monotonic() - began
    drill.table.add("one machine, no cluster", took, f"losses differ by {worst:.1e} at most")
    assert alone == pytest.approx(cluster, abs=1e-4)
