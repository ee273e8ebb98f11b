"""`pmam evaluate` at the size of AudioSet-Strong: time and largest memory of the process.

    OMP_NUM_THREADS=1 python benchmarks/evaluation/large.py              # --clips for fewer

17 000 clips of 10 s, 447 classes and 250 frames of float16 in shards, as `pmam score` writes them
(3.8 GB), a table of truth and one of lengths. Scores are those of some clips, moved and scaled, and
raised inside events: 1 to 9 of each clip. Each family of metrics is evaluated by a process of its
own, with a median of 0.36 s (9 frames); behind it the processor's time and the clock's.

Not run to its end yet. Of 2026-11-29, at a tenth of one core beside much other work: PSDS (psds1,
psds2 and all it needs) of all 17 000 clips had held at most 1.82 GB after 406 s of the processor,
of which 200 s were reading and filtering, while it counted its classes; it was stopped there. Of
1000 clips PSDS holds 1.15 GB (2.03 before counts that cancel were left out), event-based numbers
0.97 GB, each in 20 to 45 s of the processor.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pipelines.runtime.stage import DONE
from pmam.metrics.settings import FAMILY_NAMES
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter

LENGTH_S, FRAMES, CLASSES, PER_SHARD = 10.0, 250, 447, 500


def write(folder: Path, clips: int) -> None:
    """Truth, lengths and scores."""
    rng = np.random.default_rng(0)
    names = [f"class{n:03d}" for n in range(CLASSES)]
    walks = np.cumsum(rng.standard_normal((32, FRAMES, CLASSES), dtype=np.float32) * 0.3, axis=1)
    pool = 1 / (1 + np.exp(4 - walks))
    rarity = 1 / np.arange(1, CLASSES + 1)  # classes are as unequal as those of AudioSet
    truth, lengths, outputs = ["filename\tonset\toffset\tevent_label"], ["filename\tduration"], []
    (folder / "score" / "frames").mkdir(parents=True)
    spec = FrameSpec(kind="scores", width=CLASSES, dtype="float16", hop_s=LENGTH_S / FRAMES)
    for begin in range(0, clips, PER_SHARD):
        outputs.append(f"frames/{begin:05d}.arrow")
        with FrameWriter(folder / "score" / outputs[-1], spec) as writer:
            for n in range(begin, min(begin + PER_SHARD, clips)):
                scores = np.roll(pool[rng.integers(32)], rng.integers(FRAMES), axis=0)
                scores = scores * rng.random(CLASSES, dtype=np.float32)
                chosen = rng.choice(
                    CLASSES, rng.integers(1, 10), replace=False, p=rarity / rarity.sum()
                )
                for label in chosen:
                    first = int(rng.integers(0, FRAMES - 10))
                    stop = min(FRAMES, first + int(rng.integers(6, 100)))
                    scores[first:stop, label] += (1 - scores[first:stop, label]) * rng.random()
                    times = f"{first * LENGTH_S / FRAMES:.3f}\t{stop * LENGTH_S / FRAMES:.3f}"
                    truth.append(f"clip{n:05d}\t{times}\t{names[label]}")
                writer.add(f"clip{n:05d}", scores.astype(np.float16))
                lengths.append(f"clip{n:05d}\t{LENGTH_S}")
    (folder / "truth.tsv").write_text("\n".join(truth) + "\n")
    (folder / "lengths.tsv").write_text("\n".join(lengths) + "\n")
    result = {"classes": names, "outputs": outputs, "postprocess": {"median_s": 0.36}}
    record = {"format_version": 2, "fingerprint": "of a benchmark", "result": result}
    (folder / "score" / DONE).write_text(json.dumps(record))


def measure(folder: Path, family: str, resamples: int) -> None:
    """One family by a process of its own; its line."""
    command = [
        *(sys.executable, "-m", "pipelines", "evaluate"),
        *(str(folder / "truth.tsv"), str(folder / "score")),
        *("--durations", str(folder / "lengths.tsv"), "--out", str(folder / f"out-{family}")),
        *("--metrics", family, "--resamples", str(resamples), "--no-pictures"),
        *("--on-missing", "zero"),
    ]
    start = time.monotonic()
    with (folder / f"{family}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    print(
        f"{family:16} {used.ru_utime + used.ru_stime:6.0f} s  (clock {seconds:6.0f} s)  "
        f"{used.ru_maxrss / 1e6:.2f} GB  {'' if status == 0 else 'FAILED'}",
        flush=True,
    )
    if status:
        print((folder / f"{family}.log").read_text()[-2000:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=17_000, help="how many clips")
    parser.add_argument("--resamples", type=int, default=0, help="how many resamples")
    parser.add_argument("--families", nargs="+", default=FAMILY_NAMES, help="which")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        write(Path(place), chosen.clips)
        print(f"{chosen.clips} clips, {chosen.resamples} resamples", flush=True)
        for each in chosen.families:
            measure(Path(place), each, chosen.resamples)
