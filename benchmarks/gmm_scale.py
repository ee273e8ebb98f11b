"""Prototypes of millions of frames from disk: memory of a worker, and two workers against one.

    python benchmarks/gmm_scale.py --cache FOLDER [--frames 5000000] [--width 64] [--k 30]

The frames are synthetic, clustered, in half precision, 250 to a clip and 1000 clips to a file, as
`pmam embed` writes them; the fit is `pmam fit --workers N`. Memory is what the kernel says of the
worker processes, above what the same workers take for a fit of a thousand frames: so imports and
Ray do not count. Pages of the memory-mapped files count as resident, though the kernel may take
them back at any time; they are told apart. Time is that of an EM iteration: one pass over all
frames, a step, and the state written; beside it the processor time of the busiest worker, which
other work on the machine does not change.

Result of 2026-11-21 on 2 cores, 5 million frames x 64 (640 MB), K = 30, full covariance, two
iterations of k-means and of EM (`--iterations 2 --workers 2 1`), nothing else running:

    workers   an EM iteration   processor time   memory of a worker, with pages of files
    1         54.9 s            55.4 s           153 MB, 787 MB
    2         36.1 s            31.8 s           152 MB, 455 MB

Two workers are 1.52 times as fast by the clock, 1.74 times by processor time; both stay under 1 GB.
"""

import argparse
import contextlib
import json
import os
import shutil
import struct
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

sys.path.append(str(Path(__file__).parents[1] / "tests" / "helpers" / "processes"))
from train_workers import own_workers

from cluster.session import session
from pipelines.runtime.files.urls import store, write_checkpoint
from pipelines.runtime.stage import Stage, run_stage
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.fit.stage import fit
from pmam.clustering.pca import moments
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import pack_encoder
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.index import IndexRow
from shards.manifest import ShardEntry, write_dataset

CLIP_FRAMES, FILE_CLIPS, HOP_S = 250, 1000, 0.04
LIMIT_BYTES = 1 << 30


@dataclass(frozen=True)
class Synthetic:
    """A dataset without audio, and its embeddings."""

    dataset: str
    embeddings: str


@dataclass
class Watch:
    """What was seen of the workers and of the state, several times a second."""

    state: Path
    resident: dict[int, int] = field(default_factory=dict)  # most bytes, by process
    private: dict[int, int] = field(default_factory=dict)  # of them not of files
    # When each EM state appeared, and the processor time of each worker till then.
    iterations: list[tuple[float, dict[int, float]]] = field(default_factory=list)

    def look(self, ended: threading.Event) -> None:
        """Until the fit has ended."""
        while not ended.wait(0.2):
            spent: dict[int, float] = {}
            for pid in own_workers():
                with contextlib.suppress(OSError):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    sizes = {x[0]: int(x[1]) << 10 for x in map(str.split, lines) if "kB" in x}
                    peak, own = sizes["VmHWM:"], sizes["RssAnon:"]
                    self.resident[pid] = max(peak, self.resident.get(pid, 0))
                    self.private[pid] = max(own, self.private.get(pid, 0))
                    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                    ticks = int(times[11]) + int(times[12])
                    spent[pid] = ticks / os.sysconf("SC_CLK_TCK")
            done = em_iterations(self.state)
            if done is not None and done >= len(self.iterations):
                self.iterations.append((time.monotonic(), spent))

    def seconds(self) -> float:
        """Of an EM iteration."""
        return float(np.median(np.diff([when for when, _ in self.iterations])))

    def processor_seconds(self) -> float:
        """Of the worker that took most, of an EM iteration."""
        spent = [spent for _, spent in self.iterations]
        steps = [
            max(after[pid] - before[pid] for pid in before) for before, after in pairwise(spent)
        ]
        return float(np.median(steps))


def main() -> None:
    """Make the frames, or take those that are there, fit, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the frames")
    parser.add_argument("--frames", type=int, default=5_000_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--k", type=int, default=30)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    large = synthetic(options.cache, options.frames, options.width)
    small = synthetic(options.cache, 4 * CLIP_FRAMES, options.width)
    # Iterations of k-means as of EM: none may end early.
    settings = FitSettings(k=options.k, pca=None, iterations=options.iterations, tolerance=0)
    print(
        f"{options.frames} frames x {options.width}, K = {options.k}, full covariance; "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    seconds, processor = {}, {}
    with session():
        for workers in options.workers:
            chosen = replace(settings, workers=workers)
            base = measured(small, options.cache / "fit", replace(chosen, k=2))
            found = measured(large, options.cache / "fit", chosen)
            seconds[workers] = found.seconds()
            processor[workers] = found.processor_seconds()
            private = max(found.private.values()) - max(base.private.values())
            resident = max(found.resident.values()) - max(base.resident.values())
            wanted = "kept" if resident < LIMIT_BYTES else "MISSED"
            print(
                f"{workers} workers: {seconds[workers]:.1f} s an EM iteration, "
                f"{processor[workers]:.1f} s of processor time; a worker holds {private >> 20} MB, "
                f"{resident >> 20} MB with pages of files (limit of 1 GB {wanted})",
                flush=True,
            )
    first, *_, last = options.workers
    if last != first:
        print(
            f"{last} workers are {seconds[first] / seconds[last]:.2f} times as fast as {first} "
            f"({processor[first] / processor[last]:.2f} times by processor time)"
        )


def measured(data: Synthetic, out: Path, settings: FitSettings) -> Watch:
    """A fit, watched."""
    shutil.rmtree(out, ignore_errors=True)
    watch = Watch(out / f"candidates/k{settings.k}-full-all/state.safetensors")
    ended = threading.Event()
    thread = threading.Thread(target=watch.look, args=(ended,))
    thread.start()
    try:
        fit(data.dataset, data.embeddings, str(out), settings)
    finally:
        ended.set()
        thread.join()
    return watch


def em_iterations(state: Path) -> int | None:
    """How many EM iterations the state in a file has behind it; None for no mixture's state."""
    try:
        with state.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(size))
    except (OSError, ValueError, struct.error):
        return None
    return header["log_likelihoods"]["shape"][0] if "log_likelihoods" in header else None


def synthetic(cache: Path, frames: int, width: int) -> Synthetic:
    """Clips of clustered frames; those that are there already are taken."""
    folder = cache / f"{frames}x{width}"
    clips = frames // CLIP_FRAMES
    names = [f"{number:07d}" for number in range(clips)]
    files = [names[start : start + FILE_CLIPS] for start in range(0, clips, FILE_CLIPS)]
    rows = [
        row(name, f"{n:05d}.tar", place)
        for n, f in enumerate(files)
        for place, name in enumerate(f)
    ]
    shards = [
        ShardEntry(name=f"{n:05d}.tar", size=1, sha256="0" * 64, clips=len(f))
        for n, f in enumerate(files)
    ]
    data = folder / "dataset"
    if not (data / "dataset.json").exists():
        write_dataset(
            store(str(data)), rows, name="synthetic", licence="CC0", classes=None, shards=shards
        )
    embeddings = folder / "embed"

    def work(stage: Stage) -> dict[str, object]:
        encoder = build_encoder(EncoderSettings(name="small_cnn")).eval()
        noise = 0.1 * torch.randn(1, 3 * encoder.sample_rate_hz)
        encoder.calibration.fit(moments(lambda: iter([encoder.raw(noise)[0]])))
        write_checkpoint(stage.store, "encoder", pack_encoder(encoder))
        outputs = [f"frames/{n:05d}.arrow" for n in range(len(files))]
        (embeddings / "frames").mkdir(exist_ok=True)
        for n, (output, members) in enumerate(zip(outputs, files, strict=True)):
            write_frames(embeddings / output, members, width, seed=n)
        return {"outputs": outputs, "checkpoint": str(embeddings / "encoder")}

    run_stage("embed", str(embeddings), work, settings=FitSettings(), inputs={}, version=1)
    return Synthetic(str(data), str(embeddings))


def write_frames(path: Path, clips: list[str], width: int, seed: int) -> None:
    """Frames of 30 clusters that overlap, each with a shape of its own."""
    generator = np.random.default_rng(seed)
    shared = np.random.default_rng(99)
    centers = 0.4 * shared.standard_normal((30, width), np.float32)
    scales = shared.uniform(0.5, 1.5, (30, width)).astype(np.float32)
    spec = FrameSpec(kind="features", width=width, dtype="float16", hop_s=HOP_S)
    with FrameWriter(path, spec) as writer:
        for name in clips:
            labels = generator.integers(30, size=CLIP_FRAMES)
            noise = generator.standard_normal((CLIP_FRAMES, width), np.float32)
            writer.add(name, centers[labels] + scales[labels] * noise)


def row(name: str, shard: str, place: int) -> IndexRow:
    """A clip of ten seconds that nobody will listen to."""
    return IndexRow(
        key=name,
        source_id=name,
        shard=shard,
        offset=512 * place,
        size=1,
        codec="wav",
        sample_rate_hz=8000,
        num_samples=80000,
        channels=1,
        checksum="0" * 64,
        crc32=0,
        subset="unlabeled",
        recording=None,
        fold=None,
        weak=None,
        events=None,
        meta={},
    )


if __name__ == "__main__":
    main()
