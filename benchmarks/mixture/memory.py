"""What an E-step needs beyond its input block, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from pmam.mixture.e_step import statistics
from pmam.mixture.parameters import MixtureParameters

BLOCK = 16384
MIB = 2**20


def peak_in_child(frames: int, width: int, components: int) -> int:
    """Peak resident bytes of an E-step over normal frames in blocks, above what it began with."""
    command = [sys.executable, __file__, str(frames), str(width), str(components)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root)
    return int(done.stdout)


def main() -> None:
    """Measure in this process, and print."""
    frames, width, components = (int(argument) for argument in sys.argv[1:])
    torch.set_num_threads(1)
    generator = np.random.default_rng(0)
    identity = torch.eye(width, dtype=torch.float64)
    parameters = MixtureParameters(
        covariance_type="full",
        weights=torch.full((components,), 1 / components, dtype=torch.float64),
        means=torch.from_numpy(generator.standard_normal((components, width))),
        covariances=identity.expand(components, width, width).clone(),
    )
    block = generator.standard_normal((BLOCK, width)).astype(np.float32)

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, frames, BLOCK):
            yield block[: min(BLOCK, frames - start)]

    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    statistics(blocks, parameters)
    print(resident("VmHWM") - before)


def resident(name: str) -> int:
    """Bytes of this process that the kernel counts as VmRSS (now) or VmHWM (at most)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024


if __name__ == "__main__":
    main()
