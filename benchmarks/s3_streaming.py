"""Clips from an S3 server by the training loader, against bare ranges of the same bytes.

    python benchmarks/s3_streaming.py [--clips 600] [--rounds 5] [--parts raw decoded training]

The server is `rclone serve s3` on this machine, with authentication. Two workers (processes, the
ranks of one loader) read a half of every batch each, in the order of training. `bare` is pyarrow's
own `open_input_file(...).read_at(...)` of the very same ranges by as many processes and threads,
without a look at what comes. Both take turns; a ratio is the median over the rounds. `decoded` is
what the loader gives to a training, and `decoding` the same clips decoded from memory by as many
processes: on as many cores, the loader cannot be faster than that. `training` fine-tunes a small
detector through a proxy that holds each request for 20 ms, and takes its own count of waiting.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from cluster.storage.filesystems import filesystem
from pipelines.presets.demo import demo
from pmam.settings import to_json
from shards.clip import Clip, Event
from shards.dataset import Dataset
from shards.io.range_reader import Request, Wanted, coalesce
from shards.io.store import Store
from shards.loading.loader import Loader, Loading
from shards.loading.prefetch import FileReader, Reading

ROOT = Path(__file__).parents[1]
HELPERS = ROOT / "tests" / "helpers"
sys.path += [str(HELPERS / "datasets"), str(HELPERS / "processes")]
from fault_proxy import fault_proxy  # noqa: E402
from packing import pack  # noqa: E402
from s3_server import S3Server, s3_server  # noqa: E402

WORKERS, BATCH, SECONDS, RATE_HZ = 2, 32, 10, 32000
SUBSET, LATENCY_S = "strong", 0.02
READING = Reading()


def opened(url: str) -> Dataset:
    """The dataset, as a worker of a training opens it."""

    def resolve(where: str) -> Store:
        return Store(*filesystem(where))

    return Dataset.open(resolve(url), resolve)


def order(dataset: Dataset, rank: int) -> list[int]:
    """Rows of the index in the order in which a rank of a training reads one epoch."""
    loader = loader_of(dataset, rank)
    return [
        int(index)
        for step in range(loader.steps_per_epoch)
        for index in loader.order.batch(step, rank, WORKERS)[SUBSET]
    ]


def loader_of(dataset: Dataset, rank: int) -> Loader:
    """The loader of a rank."""
    settings = Loading(per_batch={SUBSET: BATCH}, reading=READING)
    return Loader(dataset, settings, rank=rank, world_size=WORKERS)


def raw(dataset: Dataset, rank: int) -> Iterator[int]:
    """Files of clips by the loader's reader, with their checksums compared."""
    for _, data in FileReader(dataset, READING).read(order(dataset, rank)):
        assert not isinstance(data, Exception), data
        yield len(data)


def bare(dataset: Dataset, rank: int) -> Iterator[int]:
    """The same bytes by pyarrow alone: what the loader asks for, and no more."""
    requests = list(ranges(dataset, rank))
    files = {
        name: (lambda place: place[0].filesystem.open_input_file(place[0].path(place[1])))(
            dataset.place(name)
        )
        for name in {request.shard for request in requests}
    }

    def read(request: Request) -> int:
        return len(files[request.shard].read_at(request.size, request.offset))

    with ThreadPoolExecutor(READING.threads) as pool:
        list(pool.map(read, requests))
    yield sum(part.size for request in requests for part in request.parts)


def ranges(dataset: Dataset, rank: int) -> Iterator[Request]:
    """The ranges that the reader asks for."""
    columns, reader = dataset.columns, FileReader(dataset, READING)
    for chunk in reader._chunks(iter(order(dataset, rank))):
        wanted = [
            Wanted(slot, columns.shard(i), int(columns.offset[i]), int(columns.size[i]))
            for slot, i in enumerate(chunk)
        ]
        yield from coalesce(wanted, READING.gap_bytes, READING.request_bytes)


def decoded(dataset: Dataset, rank: int) -> Iterator[int]:
    """Batches of samples by the loader."""
    loader = loader_of(dataset, rank)
    for batch in loader.batches(loader.steps_per_epoch):
        for example in batch.examples:
            yield example.row.size


def decoding(dataset: Dataset, rank: int) -> Iterator[int]:
    """Decoding alone: some clips, held in memory, again and again."""
    indices = order(dataset, rank)
    held = [(dataset.row(i), data) for i, data in FileReader(dataset, READING).read(indices[:40])]
    for number in range(len(indices)):
        row, data = held[number % len(held)]
        assert not isinstance(data, Exception), data
        dataset.decoded(row, data, None)
        yield row.size


READ: dict[str, Callable[[Dataset, int], Iterator[int]]] = {
    "raw": raw,
    "bare": bare,
    "decoded": decoded,
    "decoding": decoding,
}


def worker(kind: str, url: str, rank: int, begin: Barrier, found: Any) -> None:
    """One process: bytes and when it began and ended, once all are there."""
    dataset = opened(url)
    begin.wait()
    began = time.monotonic()
    size = sum(READ[kind](dataset, rank))
    found.put((size, began, time.monotonic()))


def rate(kind: str, url: str) -> float:
    """Bytes of clips a second, of all workers together."""
    spawn = multiprocessing.get_context("spawn")
    begin, found = spawn.Barrier(WORKERS), spawn.Queue()
    workers = [
        spawn.Process(target=worker, args=(kind, url, rank, begin, found))
        for rank in range(WORKERS)
    ]
    for each in workers:
        each.start()
    ended = [found.get(timeout=600) for _ in workers]
    for each in workers:
        each.join()
    sizes, begins, ends = zip(*ended, strict=True)
    return float(sum(sizes) / (max(ends) - min(begins)))


def write(recordings: Path, to: Path, clips: int) -> None:
    """Noise below 4 kHz, which FLAC stores at about half its size; packed."""
    noise = np.random.default_rng(0).normal(size=RATE_HZ * (SECONDS + clips))
    smooth = np.convolve(noise, np.hanning(8) / 4, mode="same") * 0.1
    rows = []
    recordings.mkdir()
    for number in range(clips):
        name = f"{number:05d}.flac"
        part = smooth[number * RATE_HZ :][: SECONDS * RATE_HZ]
        sf.write(recordings / name, part, RATE_HZ)
        events = (Event(1.0, 4.0, "a" if number % 2 else "b"),)
        rows.append(Clip(source_id=name, audio=name, subset=SUBSET, events=events))
    pack(recordings, rows, to, target_bytes=64 << 20)


def requests_per_clip(url: str, server: S3Server) -> float:
    """How many requests the loader makes, counted on the way."""
    with fault_proxy(server.endpoint) as proxy:
        os.environ["AWS_ENDPOINT_URL"] = proxy.endpoint
        dataset = opened(url)
        before = proxy.requests.total()
        for rank in range(WORKERS):
            for _ in raw(dataset, rank):
                pass
        os.environ["AWS_ENDPOINT_URL"] = server.endpoint
        return (proxy.requests.total() - before) / len(dataset.columns.size)


def waiting(url: str, server: S3Server, folder: Path) -> list[dict[str, float]]:
    """What a training tells of its speed, with 20 ms for each request."""
    base = demo()
    optimizer = replace(base.finetune.training.optimizer, steps=100)
    training = replace(base.finetune.training, batch={SUBSET: 16}, optimizer=optimizer)
    tuning = replace(base.finetune, training=training)
    settings = replace(base, soundscapes=None, dataset=url, iterations=0, finetune=tuning)
    config = folder / "run.json"
    config.write_text(json.dumps({"preset": "demo", "settings": to_json(settings)}))
    with fault_proxy(server.endpoint) as proxy:
        proxy.latency_s = LATENCY_S
        command = [sys.executable, "-m", "pipelines", "run", "--config", str(config)]
        subprocess.run(
            [*command, "--out", str(folder / "run")],
            cwd=ROOT,
            check=True,
            env={**os.environ, "AWS_ENDPOINT_URL": proxy.endpoint},
        )
    files = sorted((folder / "run" / "finetune" / "speed").glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def main() -> None:
    """Run the parts and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["raw", "decoded", "training"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, s3_server(Path(made)) as server:
        folder = Path(made)
        write(folder / "recordings", server.file("set"), given.clips)
        url = server.url("set")
        print(f"{requests_per_clip(url, server):.3f} requests a clip")
        for kind, than in (("raw", "bare"), ("decoded", "decoding")):
            if kind not in given.parts:
                continue
            pairs = [(rate(kind, url), rate(than, url)) for _ in range(given.rounds)]
            ratio = statistics.median(ours / other for ours, other in pairs)
            ours, other = (statistics.median(each) / 1e6 for each in zip(*pairs, strict=True))
            print(f"{kind}: {ours:.0f} MB/s, {than} {other:.0f} MB/s: {100 * ratio:.0f} %")
        if "training" in given.parts:
            for row in waiting(url, server, folder):
                print(row)


if __name__ == "__main__":
    main()
