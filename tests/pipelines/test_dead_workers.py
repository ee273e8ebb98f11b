"""A worker that is killed from outside is started again, and nothing of the training is lost."""

import json
import logging
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from training_cases import trained

from pipelines.recorder import steps_kept
from pipelines.urls import store

STEPS = 400


def kill_a_worker(folder: Path, killed: list[int]) -> None:
    """As soon as there is a checkpoint to go on from."""
    deadline = time.monotonic() + 900
    while steps_kept(store(str(folder))) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
    processes = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    family = {os.getpid()}  # of this session of Ray, and of no other on the machine
    for _ in range(4):
        family |= {int(pid) for pid, parent, *_ in processes if int(parent) in family}
    for pid, _, *name in processes:
        if int(pid) in family and "RayTrainWorker" in "".join(name):
            os.kill(int(pid), signal.SIGKILL)
            killed.append(int(pid))


def losses(out: Path) -> list[float]:
    lines = [
        line for file in sorted(out.glob("metrics/*")) for line in file.read_text().splitlines()
    ]
    return [json.loads(line)["loss"] for line in lines if "loss" in line]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("ray_session")
def test_a_killed_worker_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folders = [tmp_path / name for name in ("killed", "undisturbed")]
    for folder in folders:
        folder.mkdir()
    pids: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(folders[0] / "out", pids))
    killer.start()
    with caplog.at_level(logging.WARNING, "pmam"):
        out = trained(folders[0], STEPS, workers=1, checkpoint_every=10)
    killer.join()
    assert len(pids) == 1
    assert "the workers are started again" in caplog.text
    expected = losses(trained(folders[1], STEPS, checkpoint_every=10))
    assert len(expected) == STEPS // 10
    assert losses(out) == pytest.approx(expected, rel=1e-3, abs=1e-4)
