"""The stages embed and score beside a plain loop over the same clips, on all cores.

    python benchmarks/embed_rate.py RUN [--subset test] [--rounds 2]

RUN is a run of `pmam run --config benchmarks/esc10_timing.json --data ESC-50`, with its audio. The
plain loop is one process a core of one thread each, which reads a clip's bytes, decodes them by
soundfile, and sends four clips at a time through the encoder in eager mode; it stores nothing, and
its clock starts when all models are loaded. A stage's clock runs from its call to its end, in a
session that has done a job before, as in a run. Printed are clips per second of each by the wall
clock and of a core by processor time, and the ratios of the stages to the plain loop.

Result of 2026-11-29, of the stages' workers alone, in one process without Ray, on a machine with
much other work: by processor time embed has 1.04 to 1.09 of the plain loop's rate (27 to 29 clips/s
a core), score .92 to .95. Whole stages on an idle machine were not measured yet.
"""

import argparse
import io
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch loads

import psutil

from cluster.session import cores, session
from pipelines.runtime.files.urls import join, open_dataset

TOGETHER = 4


def main() -> None:
    """Measure all three in turn, and print the best of some rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--subset", default="test")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    dataset, encoder = join(options.run, "dataset"), join(options.run, "embed-1/encoder")
    detector = join(options.run, "finetune/detector")
    keys = [row.key for row in open_dataset(dataset).listed([options.subset])]
    best: dict[str, tuple[float, float]] = {}
    with session(), tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Callable[[str], tuple[float, float]]] = {
            "plain loop": lambda out: plain(dataset, encoder, keys),
            "embed": lambda out: embedded(dataset, encoder, options.subset, out),
            "score": lambda out: scored(dataset, detector, options.subset, out),
        }
        embedded(dataset, encoder, "validation", join(folder, "before"))  # a job before
        for number in range(options.rounds):
            for name, way in ways.items():
                wall_s, cpu_s = way(join(folder, f"{name}-{number}"))
                least = best.get(name, (float("inf"), float("inf")))
                best[name] = (min(least[0], wall_s), min(least[1], cpu_s))
    for name, (wall_s, cpu_s) in best.items():
        of_plain = (best["plain loop"][0] / wall_s, best["plain loop"][1] / cpu_s)
        print(
            f"{name:10s} {len(keys) / wall_s:6.1f} clips/s, {len(keys) / cpu_s:6.1f} a core by "
            f"processor time; {of_plain[0]:.2f} and {of_plain[1]:.2f} of the plain loop"
        )


def embedded(dataset: str, encoder: str, subset: str, out: str) -> tuple[float, float]:
    """Seconds on the wall and of processors of the stage embed."""
    from pipelines.stages.embed import embed
    from pipelines.stages.settings import EmbedSettings

    settings = EmbedSettings(layer="input", keep_every=1, subsets=(subset,))
    return timed(lambda: embed(dataset, out, settings, model=encoder))


def scored(dataset: str, detector: str, subset: str, out: str) -> tuple[float, float]:
    """As `embedded`, of the stage score, which reads audio here."""
    from pipelines.stages.score import score
    from pipelines.stages.settings import ScoreSettings

    settings = replace(ScoreSettings(), subsets=(subset,))
    return timed(lambda: score(dataset, out, settings, checkpoint=detector))


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the wall and of processors, of this process and all below it."""
    started, before = time.perf_counter(), processor_s()
    call()
    return time.perf_counter() - started, processor_s() - before


def processor_s() -> float:
    """What this process and those below it have used until now."""
    here = psutil.Process()
    used = [process.cpu_times() for process in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in used)


def plain(dataset: str, encoder: str, keys: Sequence[str]) -> tuple[float, float]:
    """As `embedded`, of one loop a core."""
    context = multiprocessing.get_context("spawn")
    gate, told = context.Barrier(cores() + 1), context.Queue()
    parts = [keys[first :: cores()] for first in range(cores())]
    loops = [
        context.Process(target=loop, args=(dataset, encoder, part, gate, told)) for part in parts
    ]
    for process in loops:
        process.start()
    gate.wait()
    started = time.perf_counter()
    used = [told.get() for _ in loops]
    wall_s = time.perf_counter() - started
    for process in loops:
        process.join()
    return wall_s, sum(used)


def loop(dataset: str, encoder: str, keys: Sequence[str], gate: Any, told: Any) -> None:
    """One process of the plain loop."""
    import soundfile
    import torch

    from pipelines.runtime.files.urls import read_checkpoint
    from pmam.encoders.base import FrameEncoder
    from pmam.models.checkpoint import unpack

    torch.set_num_threads(1)
    model = unpack(read_checkpoint(encoder), encoder)
    assert isinstance(model, FrameEncoder)
    model.eval()
    opened = open_dataset(dataset)
    rows = opened.rows_of(keys)
    gate.wait()
    before = time.process_time()
    with torch.inference_mode():
        for first in range(0, len(rows), TOGETHER):
            clips = []
            for row in rows[first : first + TOGETHER]:
                with opened.open_audio(row) as file:
                    samples, rate_hz = soundfile.read(io.BytesIO(file.read()), dtype="float32")
                assert rate_hz == model.sample_rate_hz
                clips.append(torch.from_numpy(samples))
            model.inputs(torch.stack(clips))
    told.put(time.process_time() - before)


if __name__ == "__main__":
    main()
