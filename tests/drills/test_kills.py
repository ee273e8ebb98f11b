"""Workers, machines, drivers and heads that are killed: nothing is lost, nothing is done twice."""

import random
import time

import pytest
from drill import NODES, Drill, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]
KILLS = 10
# By stage: what does it, and which of its files say that it is at work.
AT_WORK = {
    "soundscapes": ("_in_kept_process", "parts/*"),
    "dataset": ("_in_kept_process", "parts/*"),
    "embed-1": ("_in_kept_process", "parts/*"),
    "pretrain-1": ("RayTrainWorker", "state/latest.json"),
    "finetune": ("RayTrainWorker", "state/latest.json"),
}


def at_work(drill: Drill, name: str, stage: str):  # type: ignore[no-untyped-def]
    """A run whose stage has done something, and not all; its driver, a node and its worker."""
    title, files = AT_WORK[stage]
    drill.begun(name, stage)
    process = drill.start(name)
    drill.wait_for(process, name, f"{stage}/{files}")
    ip, worker = drill.worker(title)
    assert not drill.files(name, f"{stage}/stage.json"), "it was whole before anything was killed"
    return process, ip, worker


@pytest.mark.parametrize("stage", ["soundscapes", "embed-1", "finetune"])
def test_a_killed_worker(stage: str, drill: Drill, undisturbed: Outcome) -> None:
    began, name = time.monotonic(), f"worker-{stage}"
    with drill.slow():
        process, _, worker = at_work(drill, name, stage)
        worker.kill()
        found = drill.finish(name, process, began)
    drill.survived(f"worker killed in {stage}", found, undisturbed)


@pytest.mark.parametrize("stage", ["dataset", "embed-1", "pretrain-1"])
def test_a_killed_machine(stage: str, drill: Drill, undisturbed: Outcome) -> None:
    """The one that works, with its raylet and all; another comes in its place."""
    began, name = time.monotonic(), f"machine-{stage}"
    with drill.slow():
        process, ip, _ = at_work(drill, name, stage)
        drill.cluster.stop(ip)
        drill.cluster.start_node(ip)
        found = drill.finish(name, process, began)
    drill.survived(f"node killed in {stage}", found, undisturbed)


def test_a_killed_driver(drill: Drill, undisturbed: Outcome) -> None:
    """At random moments of the work, and the same command again, until it goes through."""
    began, name = time.monotonic(), "driver"
    moments = sorted(random.Random(0).sample(range(5, len(drill.files("undisturbed"))), KILLS))
    for files in moments:
        process = drill.start(name)
        drill.wait_for(process, name, "**/*", files)
        drill.kill(process)
    found = drill.finish(name, drill.start(name), began)
    drill.survived(f"driver killed {KILLS} times", found, undisturbed)


def test_a_killed_head(drill: Drill, undisturbed: Outcome) -> None:
    """All goes; a new cluster, and the same command."""
    began, name = time.monotonic(), "head"
    with drill.slow():
        process, _, _ = at_work(drill, name, "embed-1")
        for ip in [*drill.cluster.nodes]:
            drill.cluster.stop(ip)
    process.wait(300)
    assert process.returncode not in (0, None)
    drill.cluster.start_head()
    for ip in NODES:
        drill.cluster.start_node(ip)
    found = drill.finish(name, drill.start(name), began)
    drill.survived("head killed", found, undisturbed)
