"""A Ray cluster of two nodes on this machine, each with a disk of its own at the same path."""

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
from dataclasses import dataclass
from pathlib import Path

import pytest

START_S = 240.0
RAY = str(Path(sys.executable).parent / "ray")
HEAD, OTHER = "127.0.0.1", "127.0.0.2"


@dataclass(frozen=True)
class TwoNodes:
    """A cluster at work."""

    address: str
    token: Mapping[str, str]  # what a driver needs in its environment to join
    shared: Path  # one folder on both nodes
    own: Path  # another folder on each node
    other_own: Path  # what the other node has at `own`, as it is seen from here
    other: int  # process of the other node's raylet


def needs_mounts() -> None:
    """Skips the test where a process may not have mounts of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare not found: disks of two nodes on one machine need mount namespaces")
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True
    )
    if tried.returncode:
        pytest.skip(f"no mount namespaces here ({tried.stderr.strip()}): they need root's rights")


@contextlib.contextmanager
def two_nodes(environment: Mapping[str, str]) -> Iterator[TwoNodes]:
    """The head node and another one, which has a memory disk over the folder `own`.

    Args:
        environment: of both nodes, besides this process's.
    """
    folder = Path(tempfile.mkdtemp(prefix="pmam-", dir="/tmp"))
    for name in ("shared", "own"):
        (folder / name).mkdir()
    with socket.socket() as free:
        free.bind((HEAD, 0))
        address = f"{HEAD}:{free.getsockname()[1]}"
    common = ["--num-cpus=2", "--object-store-memory=90000000", "--disable-usage-stats", "--block"]
    head = [RAY, "start", "--head", f"--port={address.rpartition(':')[2]}", *common]
    head += [f"--node-ip-address={HEAD}", "--include-dashboard=false", f"--temp-dir={folder}/ray"]
    other = [RAY, "start", f"--address={address}", f"--node-ip-address={OTHER}", *common]
    script = 'mount -t tmpfs tmpfs "$1" && shift && exec "$@"'
    other = ["unshare", "-m", "sh", "-c", script, "sh", str(folder / "own"), *other]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        patience = {"RAY_raylet_start_wait_time_s": f"{START_S:g}"}  # on a busy machine
        environment = {**os.environ, **token, **patience, **environment}
        stack.enter_context(_running(head, folder / "head.log", environment))
        _wait_for(folder / "head.log")
        process = stack.enter_context(_running(other, folder / "other.log", environment))
        _wait_for(folder / "other.log")
        there = Path(f"/proc/{process.pid}/root{folder}/own")
        yield TwoNodes(address, token, folder / "shared", folder / "own", there, process.pid)


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A node in a process group of its own, which ends with the test."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdout=errors, stderr=errors, env=dict(environment), start_new_session=True
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if "Ray runtime started" in log.read_text():
            return
        time.sleep(0.1)
    raise RuntimeError(f"a node did not start: {log.read_text()[-2000:]}")
