"""Reading clips from shards: ours by index, against webdataset 1.0.2, on real recordings.

    python benchmarks/shard_reading.py --recordings ESC10/audio --cache CACHE

Ten-second 32 kHz clips, cut from all ESC-10 recordings joined, packed as FLAC and as WAV (16
bits); both readers read the same tars, which lie in the page cache. Reading runs on one core
(`sched_setaffinity`), the Ray Data job on two. Both sides take turns; a ratio is the median over
the rounds of webdataset's CPU time by ours, so that other work on the machine counts less.

Result of 2026-11-21 on 2 cores, 2000 clips of 330 kB (FLAC) and 640 kB (WAV). Raw FLAC: 6 rounds
on the quiet machine; decoded: 5 rounds on the quiet machine; raw WAV: three of sequential reading
alone; the Ray job: 3 rounds, by the clock, beside other work.

                                      FLAC    WAV     wanted
    raw, unverified, sequential       4.33    3.52    4 of FLAC; os.pread alone is 4.61, 3.60
    raw, unverified, random           4.13            4 of FLAC
    raw, verified, sequential         3.74    3.20    1.7
    raw, verified, random             3.52            1.7
    decoded, verified, sequential     1.97    5.55    1.6, 5
    decoded, verified, random         1.96    5.36    1.6, 5
    decoded, unverified               0.98    5.66    FLAC by libsndfile there, as webdataset's
    Ray Data job                      4.31    7.33    1.8, 3
    memory of one reader              141 MB with 2000 WAV clips, 136 MB with 600; wanted 150 MB
    index of a million clips          0.55 s of CPU, 285 MB held, 289 MB at the peak; wanted 2 s
                                      and 300 MB

The bare `os.pread` of the same ranges is the ceiling on this machine. These are ratios of memory
traffic: while the system took file pages back from the cache all the time, webdataset and os.pread
themselves took twice as long, and raw FLAC was at 3.56 and 3.86 (os.pread 4.57).
"""

import argparse
import io
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile as sf
from isal import isal_zlib
from reading import data, jobs, memory

from shards.dataset import Dataset

Read = Callable[[], int]


def main() -> None:
    """Run all parts and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, required=True, help="ESC-10's audio folder")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the packed clips")
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--parts", nargs="+", default=["raw", "decoded", "ray", "memory"])
    arguments = parser.parse_args()
    clips = arguments.clips
    cores = os.sched_getaffinity(0)
    packed = data.datasets(arguments.recordings, arguments.cache, clips)
    print(f"{clips} clips of {data.CLIP_S} s from {arguments.recordings.name}", end="; ")
    print(*(f"{c}: {sum(r.size for r in d.rows) / clips / 1e3:.0f} kB" for c, d in packed.items()))
    os.sched_setaffinity(0, {max(cores)})
    for codec, dataset in packed.items():
        for part, compare in (("raw", compare_raw), ("decoded", compare_decoded)):
            if part in arguments.parts:
                compare(codec, dataset, arguments.rounds)
    os.sched_setaffinity(0, cores)
    if "memory" in arguments.parts:
        print_memory(arguments.cache, packed["wav"].store.root, clips)
    if "ray" in arguments.parts:
        compare_jobs(packed, clips, min(3, arguments.rounds))


def compare_raw(codec: str, dataset: Dataset, rounds: int) -> None:
    """Audio files as they are."""
    rows = dataset.rows
    mixed = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    expected = sum(row.size for row in rows)

    def ours(order: Sequence, verify: bool) -> Read:
        return lambda: sum(len(dataset.read(row, verify=verify)) for row in order)

    compare(
        f"raw {codec}",
        lambda: sum(len(sample[codec]) for sample in webdataset(dataset)),
        {
            "sequential, unverified": ours(rows, False),
            "random, unverified": ours(mixed, False),
            "sequential, verified": ours(rows, True),
            "random, verified": ours(mixed, True),
            "(os.pread alone)": lambda: bare(dataset, False),
            "(os.pread and crc32 alone)": lambda: bare(dataset, True),
        },
        expected,
        rounds,
    )


def compare_decoded(codec: str, dataset: Dataset, rounds: int) -> None:
    """Float32 samples. Unverified FLAC is decoded by libsndfile, as webdataset's is."""
    rows = dataset.rows
    mixed = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    compare(
        f"decoded {codec}",
        lambda: sum(len(decoded(sample[codec])) for sample in webdataset(dataset)),
        {
            "sequential, verified": lambda: sum(len(dataset.audio(row)) for row in rows),
            "random, verified": lambda: sum(len(dataset.audio(row)) for row in mixed),
            "sequential, unverified": lambda: sum(
                len(dataset.audio(row, verify=False)) for row in rows
            ),
        },
        sum(row.num_samples for row in rows),
        rounds,
    )


def compare(name: str, theirs: Read, ours: dict[str, Read], expected: int, rounds: int) -> None:
    """Take turns; print the median ratio of each way of ours."""
    ratios: dict[str, list[float]] = {way: [] for way in ours}
    base: list[float] = []
    timed(theirs, expected)  # from the disk into the page cache
    ways = list(ours)
    for turn in range(rounds):
        base.append(timed(theirs, expected))
        # What comes right after webdataset finds the caches as it left them: not always the same.
        for way in ways[turn % len(ways) :] + ways[: turn % len(ways)]:
            ratios[way].append(base[-1] / timed(ours[way], expected))
    print(f"{name}: webdataset {statistics.median(base):.2f} s of CPU", flush=True)
    for way, values in ratios.items():
        spread = f"{min(values):.2f} to {max(values):.2f}"
        print(f"  {way:28} {statistics.median(values):5.2f} times as fast ({spread})", flush=True)


def timed(read: Read, expected: int) -> float:
    """Seconds of CPU of one pass, which must read everything."""
    start = time.process_time()
    got = read()
    seconds = time.process_time() - start
    if got != expected:
        raise SystemExit(f"got {got}, expected {expected}: a reader lost clips")
    return seconds


def webdataset(dataset: Dataset):
    """All samples as webdataset gives them."""
    import webdataset as wds

    return wds.WebDataset(shard_paths(dataset), shardshuffle=False)


def shard_paths(dataset: Dataset) -> list[str]:
    """The tars, as files."""
    return [dataset.store.path(shard.name) for shard in dataset.manifest.shards]


def decoded(audio: bytes) -> np.ndarray:
    """What users of webdataset call for audio."""
    return sf.read(io.BytesIO(audio), dtype="float32")[0]


def bare(dataset: Dataset, verify: bool) -> int:
    """The least that reading by index costs."""
    total = 0
    for shard, path in zip(dataset.manifest.shards, shard_paths(dataset), strict=True):
        number = os.open(path, os.O_RDONLY)
        for row in dataset.rows:
            if row.shard == shard.name:
                part = os.pread(number, row.size, row.offset)
                total += len(part)
                if verify and isal_zlib.crc32(part) != row.crc32:
                    raise SystemExit("a checksum differs")
        os.close(number)
    return total


def print_memory(cache: Path, wav: str, clips: int) -> None:
    """One reader, with 600 clips and with all; the index of a million clips."""
    for count in sorted({min(600, clips), clips}):
        found = memory.reader(Path(wav), count)
        print(f"memory of one reader, {found['clips']} WAV clips: {found['bytes'] / 1e6:.0f} MB")
    found = memory.index(cache / "index-1M")
    print(
        f"index of 1 million clips: {found['s']:.2f} s ({found['cpu_s']:.2f} s of CPU), "
        f"{found['held_bytes'] / 1e6:.0f} MB held, {found['bytes'] / 1e6:.0f} MB at the peak"
    )


def compare_jobs(packed: dict[str, Dataset], clips: int, rounds: int) -> None:
    """Ray Data on two CPUs, by the wall clock."""
    jobs.start()
    for codec, dataset in packed.items():
        ratios = []
        for _ in range(rounds):
            theirs = jobs.webdataset(shard_paths(dataset), codec, clips)
            ours = jobs.ours(dataset.store.root, clips)
            ratios.append(theirs / ours)
            print(f"  Ray Data {codec}: read_webdataset {theirs:.1f} s, ours {ours:.1f} s")
        print(f"Ray Data {codec}: {statistics.median(ratios):.2f} times as fast", flush=True)


if __name__ == "__main__":
    main()
