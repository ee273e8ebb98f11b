"""Memory and time of one reader, and of the index of a million clips, each in a fresh process."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shards.index import SCHEMA
from shards.manifest import IndexEntry

READER = """
import json, sys
from pathlib import Path
from reading.memory import Peak
from shards.loading.loader import Loader, Loading
from shards.dataset import Dataset
from shards.io.store import Store
with Peak() as peak:
    dataset = Dataset.open(Store.local(sys.argv[1]))
    loader = Loader(dataset, Loading(per_batch={"unlabeled": 10}, crop_s=10.0))
    clips = sum(len(b.groups["unlabeled"]) for b in loader.batches(int(sys.argv[2]) // 10))
print(json.dumps({"clips": clips, "bytes": peak.bytes}))
"""
# pyarrow imports pandas at its first conversion of a value: an import like the others
INDEX = """
import json, sys, time
from pathlib import Path
import pandas
from reading.memory import Peak, entry
from shards.columns import Columns
from shards.manifest import read_index
from shards.io.store import Store
with Peak() as peak:
    start, cpu = time.perf_counter(), time.process_time()
    columns = Columns(read_index(Store.local(sys.argv[1]), entry(Path(sys.argv[1]))))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    clips = len(columns.chosen("unlabeled"))
print(json.dumps({"clips": clips, "s": seconds, "cpu_s": cpu, "bytes": peak.bytes,
                  "held_bytes": peak.now - peak.before}))
"""


class Peak:
    """The most resident memory inside the block, above what there was before it."""

    def __enter__(self) -> "Peak":
        self.before = self.now = self.most = _resident()
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._stop.wait(0.005):
            self.now = _resident()
            self.most = max(self.most, self.now)

    @property
    def bytes(self) -> int:
        """Above the start."""
        return self.most - self.before


def reader(dataset: Path, clips: int) -> dict[str, float]:
    """The loader over so many clips of a dataset."""
    return _measured(READER, str(dataset), str(clips))


def index(folder: Path, clips: int = 1_000_000) -> dict[str, float]:
    """Loading an index of so many clips."""
    file = folder / "index" / "clips.parquet"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_table(clips), file, compression="zstd")
    return _measured(INDEX, str(folder))


def entry(folder: Path) -> IndexEntry:
    """The manifest's line of the index file."""
    data = (folder / "index" / "clips.parquet").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return IndexEntry(name="index/clips.parquet", size=len(data), sha256=digest)


def _table(clips: int) -> pa.Table:
    """Rows like AudioSet's: half a million distinct recordings, one clip in three with labels."""
    digests = np.random.default_rng(0).bytes(32 * clips)
    hashes = [digests[32 * n : 32 * n + 32].hex() for n in range(clips)]
    ids = [f"Y{h[:11]}_{n % 300}.000_{n % 300 + 10}.000" for n, h in enumerate(hashes)]
    event = {"onset_s": 1.0, "offset_s": 2.5, "label": "Dog"}
    columns = {
        "key": [name.replace(".", "=2e") for name in ids],
        "source_id": ids,
        "shard": [f"shards/{n // 700:05d}.tar" for n in range(clips)],
        "offset": np.arange(clips) % 700 * 375_000 + 512,
        "size": np.full(clips, 373_000),
        "codec": ["flac"] * clips,
        "sample_rate_hz": np.full(clips, 32_000, np.int32),
        "num_samples": np.full(clips, 320_000),
        "channels": np.ones(clips, np.int32),
        "checksum": hashes,
        "crc32": np.arange(clips, dtype=np.uint32) * np.uint32(2654435761),
        "subset": [("weak", "unlabeled", "strong")[n % 3] for n in range(clips)],
        "recording": [name[:12] for name in ids],
        "fold": pa.nulls(clips, pa.int32()),
        "weak": [["Speech", "Dog"] if n % 3 == 0 else None for n in range(clips)],
        "events": [[event] if n % 3 == 2 else None for n in range(clips)],
        "meta": ["{}"] * clips,
    }
    return pa.table(columns, schema=SCHEMA)


def _measured(script: str, *arguments: str) -> dict[str, float]:
    places = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
