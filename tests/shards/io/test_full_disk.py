"""A disk that is really full: a small tmpfs in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from packing import noise_clips

MOUNT = 'mount -t tmpfs -o size=96k tmpfs "$1" && shift && exec "$@"'
WRITES = """
import sys
from pathlib import Path
from packing import pack, noise_clips
from shards.errors import ShardsError
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.io.store import Store
import numpy as np

source, full = Path(sys.argv[1]), Path(sys.argv[2])


def store():
    Store.local(full).write("some.bin", bytes(1 << 20))


def shard():
    pack(source, noise_clips(source, 30), full / "set", target_bytes=1 << 20)


def frames():
    spec = FrameSpec(kind="scores", width=64, dtype="float32", hop_s=0.1)
    with FrameWriter(full / "frames.arrow", spec) as writer:
        writer.add("a", np.zeros((5000, 64), np.float32))


for write in (store, shard, frames):
    try:
        write()
    except (ShardsError, OSError) as error:
        print(write.__name__, type(error).__name__, error)
    else:
        print(write.__name__, "written")
print("left", sorted(path.name for path in full.rglob("*") if path.is_file()))
"""


def can_mount() -> bool:
    asked = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not can_mount(), reason="may not mount a small disk here (unshare -m, mount)")
def test_a_full_disk_is_named_and_keeps_nothing_half_written(tmp_path: Path) -> None:
    source, full = tmp_path / "source", tmp_path / "full"
    full.mkdir()
    noise_clips(source, 30)
    command = [sys.executable, "-c", WRITES, str(source), str(full)]
    found = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT, "sh", str(full), *command],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
    )
    *said, left = found.stdout.splitlines()
    assert [line.split()[0] for line in said] == ["store", "shard", "frames"]
    for line in said:
        assert "StoreError" in line, line
        assert str(full) in line and "No space left on device; free some space there" in line
    assert left == "left []"
