"""What all drills share: a small chain on a cluster, its data on S3, disturbed in some way."""

import contextlib
import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import tiny_run
from ray_cluster import RayCluster
from s3_server import S3Server

from cluster.storage.filesystems import filesystem
from shards.io.store import Store
from shards.repair.verification import verify

ROOT = Path(__file__).resolve().parents[3]
NODES = ["127.0.1.2", "127.0.1.3"]
CHAIN_S = 900.0
LEFT_S = 60.0  # after which nothing of a command may be left


@dataclass
class Outcome:
    """What came of a chain."""

    numbers: dict[str, object]
    clips: int
    problems: int
    took_s: float


@dataclass
class Drill:
    """A cluster, a store, and a command on them."""

    cluster: RayCluster
    s3: S3Server
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, name: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """`pmam run` of a chain under this name; what it prints goes to its log."""
        settings = replace(tiny_run.tiny_settings(), iterations=1)
        config = tiny_run.write_config(self.folder / "chain.json", settings)
        command = [sys.executable, "-m", "pipelines", "run", "--config", str(config)]
        command += ["--out", self.s3.url(name), "--address", self.cluster.address]
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.cluster.environment, "PYTHONPATH": str(ROOT), **(environment or {})},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait_for(self, process: subprocess.Popen[bytes], name: str, said: str) -> None:
        """Wait until a command has said something; it may be gone before."""
        deadline = time.monotonic() + CHAIN_S
        while time.monotonic() < deadline and process.poll() is None:
            if re.search(said, self.log(name).read_text()):
                return
            time.sleep(0.1)
        raise AssertionError(f"never said {said!r}: {self.log(name).read_text()[-3000:]}")

    def worker(self, title: str, process: subprocess.Popen[bytes]) -> psutil.Process:
        """A worker with this title, as soon as there is one."""
        deadline = time.monotonic() + CHAIN_S
        while time.monotonic() < deadline and process.poll() is None:
            if found := self.cluster.workers(title):
                return found[0]
            time.sleep(0.1)
        raise AssertionError(f"no worker {title} was ever there")

    def finish(self, name: str, process: subprocess.Popen[bytes], began: float) -> Outcome:
        """Wait for its success, and read what it made."""
        process.wait(CHAIN_S)
        assert process.returncode == 0, self.log(name).read_text()[-4000:]
        return self.outcome(name, time.monotonic() - began)

    def outcome(self, name: str, took_s: float) -> Outcome:
        out = Store(*filesystem(self.s3.url(name)))
        report = verify(out.child("dataset"))
        detector = out.read("finetune/detector.safetensors")
        numbers: dict[str, object] = {
            "results": out.read("evaluate/results.json"),
            "dataset": out.read("dataset/dataset.json"),
            "detector": hashlib.sha256(detector).hexdigest(),
        }
        return Outcome(numbers, report.clips, len(report.problems), took_s)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a driver, which can do nothing about it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def left_over(self) -> list[str]:
        """Processes of commands that ended a minute ago."""
        deadline = time.monotonic() + LEFT_S
        while True:
            groups = {process.pid for process in self.started}
            left = []
            for each in psutil.process_iter():
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if os.getpgid(each.pid) in groups and each.status() != psutil.STATUS_ZOMBIE:
                        left.append(" ".join(each.cmdline()))
            left += [" ".join(each.cmdline()) for each in self.cluster.workers("MapWorker")]
            left += [" ".join(each.cmdline()) for each in self.cluster.workers("RayTrainWorker")]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(1)
