"""A Ray cluster of several nodes on this machine, which can be killed one by one."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

RAY = str(Path(sys.executable).parent / "ray")
START_S, END_S = 600.0, 20.0
HEAD = "127.0.1.1"


def free_port(host: str = HEAD) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        port: int = free.getsockname()[1]
        return port


@dataclass
class RayCluster:
    """Nodes at work: the head without CPUs, as on Kubernetes, and others."""

    folder: Path
    environment: dict[str, str]
    cpus: int
    dashboard: bool = False
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{HEAD}:{self.port}"

    @property
    def job_server(self) -> str:
        return f"http://{HEAD}:{self.dashboard_port}"

    def start_head(self) -> None:
        more = ["--include-dashboard=false"]
        if self.dashboard:
            more = [
                "--include-dashboard=true",
                f"--dashboard-host={HEAD}",
                f"--dashboard-port={self.dashboard_port}",
            ]
        self._start(HEAD, ["--head", f"--port={self.port}", "--num-cpus=0", *more])

    def start_node(self, ip: str, *, scratch_bytes: int | None = None) -> None:
        """Start a node; with `scratch_bytes`, its folder of temporary files is a small disk."""
        options = [f"--address={self.address}", f"--num-cpus={self.cpus}"]
        # Ray without its dashboard, as it is where this package is not: its agent, which has 15 s
        # to start on each node, then imports a part of what it does.
        bare = self.folder / "bare"
        bare.mkdir(exist_ok=True)
        (bare / "aiohttp_cors.py").write_text("raise ModuleNotFoundError\n")
        environment = {"PYTHONPATH": str(bare)}
        if scratch_bytes is None:
            self._start(ip, options, environment=environment)
            return
        self.scratch.mkdir(exist_ok=True)
        script = f'mount -t tmpfs -o size={scratch_bytes} tmpfs "$1" && shift && exec "$@"'
        prefix = ["unshare", "-m", "sh", "-c", script, "sh", str(self.scratch)]
        self._start(ip, options, prefix, {**environment, "TMPDIR": str(self.scratch)})

    @property
    def scratch(self) -> Path:
        """Where a node with a small disk has it."""
        return self.folder / "scratch"

    def raylet(self, ip: str) -> psutil.Process:
        """The process that runs a node's workers."""
        for process in psutil.Process(self.nodes[ip].pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "raylet":
                    return process
        raise LookupError(f"no raylet of {ip}")

    def workers(self, title: str) -> list[tuple[str, psutil.Process]]:
        """Nodes and workers whose title has this in it, such as RayTrainWorker."""
        found = []
        for ip, node in self.nodes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in psutil.Process(node.pid).children(recursive=True):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        if title in " ".join(process.cmdline()[:1]):
                            found.append((ip, process))
        return found

    def stop(self, ip: str) -> None:
        """Kill a node as a machine that goes: all of its processes at once."""
        process = self.nodes.pop(ip)
        with contextlib.suppress(psutil.NoSuchProcess):
            left = psutil.Process(process.pid).children(recursive=True)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for each in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            psutil.wait_procs(left, END_S)
        process.wait()

    def _start(
        self,
        ip: str,
        options: list[str],
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        log = self.folder / f"{ip}.log"
        command = [*prefix, RAY, "start", f"--node-ip-address={ip}", *options, "--block"]
        command += ["--object-store-memory=90000000", "--disable-usage-stats"]
        # Each node has files of its own: of one that they shared, one would take the code of a job
        # away while another reads it.
        command += [f"--temp-dir={self.folder / ip}"]
        command += ["--include-log-monitor=false"]  # a process less on each
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with log.open("wb") as errors:
                self.nodes[ip] = subprocess.Popen(
                    command,
                    stdout=errors,
                    stderr=errors,
                    env={**self.environment, **(environment or {})},
                    start_new_session=True,
                )
            while self.nodes[ip].poll() is None and not self._raylet_died(ip):
                if "Ray runtime started" in log.read_text():
                    return
                time.sleep(0.2)
            self.stop(ip)
        raise RuntimeError(f"node {ip} did not start: {log.read_text()[-2000:]}")

    def _raylet_died(self, ip: str) -> bool:
        """Ray gives parts of a node 15 s to start, which a busy machine may need more than."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.nodes[ip].pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.name() == "raylet" and process.status() == psutil.STATUS_ZOMBIE:
                        return True
        return False


@contextlib.contextmanager
def ray_cluster(
    environment: Mapping[str, str], ips: list[str], *, cpus: int = 2, dashboard: bool = False
) -> Iterator[RayCluster]:
    """A head and some nodes, which ask for a token.

    Args:
        environment: of all nodes, besides this process's.
        ips: of the nodes beside the head, all of 127.0.1.x.
        cpus: of each.
        dashboard: whether the head has a job server.
    """
    folder = Path(tempfile.mkdtemp(prefix="pmam-", dir="/tmp"))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    own = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_raylet_start_wait_time_s": f"{START_S:g}"}
    own["RAY_worker_register_timeout_seconds"] = f"{START_S:g}"  # 60 s on a machine that is busy
    own["PATH"] = f"{Path(RAY).parent}:{os.environ['PATH']}"  # jobs say python
    made = RayCluster(folder, {**os.environ, **token, **own, **environment}, cpus, dashboard)
    try:
        made.start_head()
        for ip in ips:
            made.start_node(ip)
        yield made
    finally:
        for ip in [*made.nodes]:
            made.stop(ip)
        shutil.rmtree(folder, ignore_errors=True)
