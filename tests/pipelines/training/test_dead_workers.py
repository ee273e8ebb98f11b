"""A worker that is killed from outside is started again, and nothing of the training is lost."""

import contextlib
import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest
from train_workers import own_workers
from training_cases import trained

from pipelines.runtime.files.urls import store
from pipelines.training.recorder import steps_kept

STEPS = 400


def kill_a_worker(folder: Path, killed: list[int], ended: threading.Event) -> None:
    """As soon as there is a checkpoint to go on from."""
    while not killed and not ended.wait(0.01):
        if steps_kept(store(str(folder))) and (workers := own_workers()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])


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
    ended = threading.Event()
    killer = threading.Thread(target=kill_a_worker, args=(folders[0] / "out", pids, ended))
    killer.start()
    try:
        with caplog.at_level(logging.WARNING, "pmam"):
            out = trained(folders[0], STEPS, workers=1, checkpoint_every=10)
    finally:
        ended.set()
        killer.join()
    assert len(pids) == 1
    assert "the workers are started again" in caplog.text
    expected = losses(trained(folders[1], STEPS, checkpoint_every=10))
    assert len(expected) == STEPS // 10
    assert losses(out) == pytest.approx(expected, rel=1e-3, abs=1e-4)
