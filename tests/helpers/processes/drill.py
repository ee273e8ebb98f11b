"""What all drills share: a small chain on a cluster, its data on S3, disturbed in some way."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import tiny_run
from fault_proxy import Faults
from ray_cluster import RayCluster
from s3_server import S3Server

from cluster.storage.filesystems import filesystem
from pipelines.presets.settings import RunSettings
from shards.io.store import Store
from shards.repair.verification import verify

ROOT = Path(__file__).resolve().parents[3]
NODES = ["127.0.1.2", "127.0.1.3"]
CHAIN_S = 900.0
LEFT_S = 60.0  # after which nothing of a command may be left
UNDISTURBED = "undisturbed"
CLIPS = sum(tiny_run.COUNTS.values())
# What tells of the work, and not what came of it: times, who did it, and where it was.
OF_THE_WORK = (
    "parts",
    "speed",
    "messages",
    "tensorboard",
    "stage.json",
    "plan.json",
    "report.html",
)


def settings() -> RunSettings:
    """The tiny run, in parts that are small enough to be killed between."""
    tiny = tiny_run.tiny_settings(steps=40)
    assert tiny.soundscapes is not None

    def few(stage):  # type: ignore[no-untyped-def]
        return replace(stage, inference=replace(stage.inference, workers=(1, 2)))

    def often(stage):  # type: ignore[no-untyped-def]
        return replace(stage, training=replace(stage.training, checkpoint_every=10))

    return replace(
        tiny,
        iterations=1,
        soundscapes=replace(tiny.soundscapes, clips_per_part=4),
        embed=few(tiny.embed),
        label=few(tiny.label),
        score=few(tiny.score),
        pretrain=often(tiny.pretrain),
        finetune=often(tiny.finetune),
    )


@dataclass
class Outcome:
    """What came of a chain."""

    files: Mapping[str, str]  # hashes of all that it found, by name
    clips: int
    problems: int
    took_s: float


@dataclass
class Table:
    """What came of the drills, for people."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, name: str, took_s: float | None, what: str) -> None:
        self.rows.append((name, "" if took_s is None else f"{took_s:.0f} s", what))

    def lines(self) -> list[str]:
        width = max((len(name) for name, _, _ in self.rows), default=0)
        return [f"{name:<{width}}  {took:>6}  {what}" for name, took, what in self.rows]


@dataclass
class Drill:
    """A cluster, a store behind a proxy, and a command on them."""

    cluster: RayCluster
    s3: S3Server
    network: Faults
    folder: Path
    table: Table
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begun(self, name: str, *again: str) -> None:
        """A run that has done all but some stages, as the undisturbed one did."""
        source = self.s3.file(UNDISTURBED)
        done = [each for each in source.iterdir() if each.name not in again]
        assert len(done) == len(list(source.iterdir())) - len(again)
        for each in done:
            target = self.s3.file(name) / each.name
            target.parent.mkdir(exist_ok=True)
            (shutil.copytree if each.is_dir() else shutil.copy)(each, target)

    def start(
        self, name: str, environment: Mapping[str, str] | None = None, more: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """`pmam run` of a chain under this name; what it prints goes to its log."""
        config = tiny_run.write_config(self.folder / "chain.json", settings())
        command = [sys.executable, "-m", "pipelines", "run", "--config", str(config)]
        command += ["--out", self.s3.url(name), "--address", self.cluster.address]
        command += more
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

    def said(self, name: str) -> str:
        return self.log(name).read_text()

    def files(self, name: str, pattern: str = "**/*") -> list[Path]:
        """Files of a run that are there now."""
        return [each for each in self.s3.file(name).glob(pattern) if each.is_file()]

    def wait_for(
        self, process: subprocess.Popen[bytes], name: str, pattern: str, least: int = 1
    ) -> None:
        """Wait until a running command has written so many such files."""
        deadline = time.monotonic() + CHAIN_S
        while time.monotonic() < deadline and process.poll() is None:
            if len(self.files(name, pattern)) >= least:
                return
            time.sleep(0.02)
        raise AssertionError(f"{least} of {pattern} were never there: {self.said(name)[-3000:]}")

    @contextlib.contextmanager
    def slow(self) -> Iterator[None]:
        """Each request takes a while, so that a stage is at work for some seconds."""
        self.network.latency_s = 0.05
        try:
            yield
        finally:
            self.network.latency_s = 0.0

    def worker(self, title: str) -> tuple[str, psutil.Process]:
        """A node, and its worker with this title that has done most."""
        found = self.cluster.workers(title)
        assert found, f"no worker {title} is there"
        return max(found, key=lambda each: sum(each[1].cpu_times()[:2]))

    def finish(self, name: str, process: subprocess.Popen[bytes], began: float) -> Outcome:
        """Wait for its success, and read what it made."""
        process.wait(CHAIN_S)
        assert process.returncode == 0, self.said(name)[-4000:]
        return self.outcome(name, time.monotonic() - began)

    def refused(self, name: str, process: subprocess.Popen[bytes]) -> str:
        """The one line of a command that stopped at something a person can act on."""
        process.wait(CHAIN_S)
        said = self.said(name)
        assert process.returncode == 2, said[-4000:]
        assert "Traceback" not in said
        line = said.splitlines()[-1]
        assert line.startswith("pmam: error: ")
        return line

    def outcome(self, name: str, took_s: float) -> Outcome:
        report = verify(Store(*filesystem(self.s3.url(name))).child("dataset"))
        root, found = self.s3.file(name), {}
        for path in self.files(name):
            parts = path.relative_to(root).parts
            if path.name != "run.json" and not {*parts} & {*OF_THE_WORK}:
                data = path.read_bytes().replace(name.encode(), UNDISTURBED.encode())
                found["/".join(parts)] = hashlib.sha256(data).hexdigest()
        return Outcome(found, report.clips, len(report.problems), took_s)

    def undisturbed(self) -> Outcome:
        """The run that all others are compared with."""
        began = time.monotonic()
        found = self.finish(UNDISTURBED, self.start(UNDISTURBED), began)
        assert (found.clips, found.problems) == (CLIPS, 0)
        what = f"{CLIPS} clips, {len(found.files)} files"
        self.table.add(UNDISTURBED, found.took_s, what)
        return found

    def survived(self, name: str, found: Outcome, undisturbed: Outcome) -> None:
        """Nothing lost, nothing doubled, the same bytes and numbers, nothing left at work."""
        names = sorted({*found.files, *undisturbed.files})
        other = [n for n in names if found.files.get(n) != undisturbed.files.get(n)]
        left = self.left_over()
        said = f"survived: {found.clips} of {CLIPS} clips, {found.problems} problems, "
        said += f"{len(other)} of {len(names)} files other, {len(left)} processes left"
        self.table.add(name, found.took_s, said)
        assert (found.clips, found.problems) == (CLIPS, 0)
        assert other == []
        assert left == []

    def told(self, name: str, took_s: float, line: str) -> None:
        """It stopped with one line, and left nothing at work."""
        assert self.left_over() == []
        self.table.add(name, took_s, f"told: {line.removeprefix('pmam: error: ')[:110]}")

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill a driver, which can do nothing about it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def left_over(
        self, titles: Sequence[str] = ("_in_kept_process", "RayTrainWorker")
    ) -> list[str]:
        """Processes of commands that ended a minute ago."""
        deadline = time.monotonic() + LEFT_S
        groups = {process.pid for process in self.started}
        while True:
            left = []
            for each in psutil.process_iter():
                with contextlib.suppress(psutil.Error, ProcessLookupError):
                    if os.getpgid(each.pid) in groups and each.status() != psutil.STATUS_ZOMBIE:
                        left.append(" ".join(each.cmdline()))
            left += [title for title in titles for _ in self.cluster.workers(title)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)
