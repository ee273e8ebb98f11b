"""Packing WAV recordings as FLAC shards, against libsndfile's FLAC encoder alone.

    python benchmarks/shard_packing.py --recordings ESC10/audio --cache CACHE [--clips 300]

The clips are ten seconds at 32 kHz, cut from all ESC-10 recordings joined. Both sides run on one
core, in turn. The encoder alone gets samples that lie in memory as 16-bit integers and writes to
memory; packing reads the files, checks every sample, finds how many bits they need, encodes,
hashes, and writes the tar. A ratio is the median over the rounds of the encoder's processor time
by packing's; 0.87 would be within 15 %.

Result of 2026-11-21, 200 clips, 5 rounds, twice: packed as FLAC 0.61 and 0.63 of the encoder alone,
so the aim is missed. Of the encoder's 3.6 ms a clip, three sha256 (of the recording, of the member
on its way into the tar, of the tar) take 0.75 ms more, reading and decoding the recording 0.3 ms,
writing the tar 0.15 ms: with nothing else at all it would be 0.75. A second core does not help
where each has a worker of its own. Packed as they are 1.15 and 1.28.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import soundfile as sf
from reading import data

from shards.clip import Clip
from shards.io.store import Store
from shards.packing.plan import Codec, plan_shards, survey
from shards.packing.writer import write_shard


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recordings", type=Path, required=True, help="ESC-10's audio folder")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the clips")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    source = options.cache / f"wav-{options.clips}"
    if not source.exists():
        data.write_clips(options.recordings, source, options.clips)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    waveforms = [sf.read(path, dtype="int16")[0] for path in sorted(source.iterdir())]
    print(f"{len(waveforms)} clips of {data.CLIP_S} s, {data.RATE_HZ} Hz, {options.rounds} rounds")
    sides: dict[str, Callable[[], None]] = {
        "encoder alone": lambda: encode(waveforms),
        "packed as flac": lambda: pack(source, "flac"),
        "packed as they are": lambda: pack(source, "keep"),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, work in sides.items():
            start = time.process_time()
            work()
            times[name].append(time.process_time() - start)
    encoder = times["encoder alone"]
    for name, found in times.items():
        ratios = [one / other for one, other in zip(encoder, found, strict=True)]
        clips_s = len(waveforms) / statistics.median(found)
        print(
            f"  {name:<20} {clips_s:6.0f} clips per second of processor time; encoder / it "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def encode(waveforms: list) -> None:  # type: ignore[type-arg]
    """What no packer of FLAC can do without."""
    for waveform in waveforms:
        sf.write(io.BytesIO(), waveform, data.RATE_HZ, format="FLAC", subtype="PCM_16")


def pack(source: Path, codec: Codec) -> None:
    """All clips into one shard."""
    store = Store.local(source)
    clips = [Clip(source_id=name, audio=name, subset="unlabeled") for name in store.names()]
    surveyed, _ = survey(store, clips)
    [plan] = plan_shards(surveyed, 10**12, 0, codec=codec)
    with tempfile.TemporaryDirectory() as folder:
        write_shard(store, plan, Path(folder) / "shard.tar", codec=codec)


if __name__ == "__main__":
    main()
