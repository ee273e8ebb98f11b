"""The training step of the context network: this checkout beside an older one, step by step.

    git worktree add /tmp/before COMMIT
    python benchmarks/training_step.py RUN --before /tmp/before [--steps 50] [--threads 2]

RUN is a finished run of `pmam run --config benchmarks/esc10_timing.json --data ESC-50`. Two
processes, one for each checkout, prepare the same batches of it and take one step each in turn, so
that other work on the machine slows both alike. Printed for pretraining and fine-tuning: steps per
second by the median wall clock and by processor time, their ratios, the share of the rate at which
as many threads multiply large matrices, and the largest difference of a step's loss.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
KINDS = ("pretrain", "finetune")


def main() -> None:
    """Compare, or be one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--before", help="a checkout to compare with")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--side", choices=KINDS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        take_steps(options.run, options.side, options.steps, options.threads)
        return
    for kind in options.kinds:
        compare(kind, options)


def compare(kind: str, options: argparse.Namespace) -> None:
    """Let both take steps in turn, and print what they tell."""
    sides = {"after": HERE} | ({"before": Path(options.before)} if options.before else {})
    command = [sys.executable, __file__, options.run, "--side", kind]
    command += ["--steps", str(options.steps), "--threads", str(options.threads)]
    running = {
        name: subprocess.Popen(
            command,
            cwd=checkout,
            env={
                **os.environ,
                "PYTHONPATH": str(checkout),
                "OMP_NUM_THREADS": str(options.threads),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, checkout in sides.items()
    }
    told: dict[str, list[dict[str, float]]] = {name: [] for name in running}
    try:
        about = {name: _answer(name, process) for name, process in running.items()}
        for _ in range(options.steps):
            for name, process in running.items():
                told[name].append(_asked(name, process))
        for process in running.values():
            process.communicate("\n")
    finally:
        for process in running.values():  # of those that are over nothing is left to end
            process.kill()
            process.wait()
    report(kind, about, told)


def _asked(name: str, process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it is over, which the answer tells
        process.stdin.write("step\n")
        process.stdin.flush()
    return _answer(name, process)


def _answer(name: str, process: "subprocess.Popen[str]") -> dict[str, float]:
    """What a side says; the end of the comparison where it died."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"the side {name} ended with status {process.wait()}: its error is above")
    answer: dict[str, float] = json.loads(line)
    return answer


def report(
    kind: str, about: dict[str, dict[str, float]], told: dict[str, list[dict[str, float]]]
) -> None:
    """Print the rates of each side and how they compare."""
    medians = {}
    for name, steps in told.items():
        # The first steps wait for memory and caches.
        later = steps[min(5, len(steps) // 2) :]
        medians[name] = {
            key: statistics.median(step[key] for step in later) for key in ("wall_s", "cpu_s")
        }
        clips, flops = about[name]["clips"], about["after"]["flops"]
        rates = {key: clips / value for key, value in medians[name].items()}
        rate = flops / medians[name]["wall_s"]
        print(
            f"{kind:9s} {name:6s} {rates['wall_s']:6.1f} clips/s, {rates['cpu_s']:6.1f} a core; "
            f"{rate / 1e9:5.1f} GFLOP/s, {rate / about[name]['peak']:.0%} of matrix peak "
            f"{about[name]['peak'] / 1e9:.0f}"
        )
    if "before" in told:
        ratio = {k: medians["before"][k] / medians["after"][k] for k in ("wall_s", "cpu_s")}
        pairs = zip(told["before"], told["after"], strict=True)
        apart = max(abs(a["loss"] - b["loss"]) / abs(a["loss"]) for a, b in pairs)
        print(
            f"{kind:9s} ratio  {ratio['wall_s']:.2f} by the wall clock, {ratio['cpu_s']:.2f} by "
            f"processor time; losses of {len(told['after'])} steps within {apart:.1e} of each other"
        )


def take_steps(run: str, kind: str, steps: int, threads: int) -> None:
    """One side: a step for each line that comes in."""
    import time

    import torch

    torch.set_num_threads(threads)
    step, batches = training(run, kind, steps)
    matrix = torch.randn(1024, 1024)
    rates = []
    for _ in range(5):
        started = time.perf_counter()
        _ = matrix @ matrix
        rates.append(2 * 1024**3 / (time.perf_counter() - started))
    about = {"clips": len(batches[0]), "peak": max(rates), "flops": operations(run, kind, threads)}
    print(json.dumps(about), flush=True)
    for batch in batches:
        if not sys.stdin.readline().strip():
            break
        wall, cpu = time.perf_counter(), time.process_time()
        loss = step(batch)
        values = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        print(json.dumps({"loss": loss, **values}), flush=True)


def training(run: str, kind: str, steps: int) -> tuple[Callable[[Any], float], list[Any]]:
    """What takes a step on a batch and returns its loss, and the batches; of either checkout."""
    from pipelines.presets.settings import RunSettings
    from pipelines.stages.finetune import FinetuneTask
    from pipelines.stages.pretrain import PretrainTask
    from pipelines.training.loop import draws_of, shares_of
    from pmam.settings import from_json
    from pmam.training.batch_norm_sync import BatchStatistics
    from pmam.training.trainer import ALONE, Trainer

    settings = from_json(
        RunSettings, json.loads((HERE / "benchmarks/esc10_timing.json").read_text())["settings"]
    )
    at = run.rstrip("/")
    task: Any
    if kind == "pretrain":
        places = (f"{at}/label-1", f"{at}/fit-1", f"{at}/embed-1/encoder", f"{at}/embed-1")
        task, trained = PretrainTask(f"{at}/dataset", *places, settings.pretrain), settings.pretrain
    else:
        start = f"{at}/pretrain-1/pretrained"
        task = FinetuneTask(f"{at}/dataset", start, f"{at}/embed-1", settings.finetune)
        trained = settings.finetune
    task.module.train()
    how = trained.training
    trainer = Trainer(task.module, how.optimizer, how.seed, ALONE, task.plateau)
    batches = [batch.examples for batch in task.clips.loader(0, 1).batches(steps, first=0)]
    shares: Any
    try:
        from pmam.training.memory import keep_freed_memory
    except ImportError:  # a checkout of before
        shares = shares_of(task, how, ALONE, BatchStatistics(task.module))
    else:
        keep_freed_memory()
        of_prepared = shares_of(task, how, ALONE, BatchStatistics(task.module), len(batches[0]))

        def shares(batch: Any, step: int, generator: Any) -> Any:
            prepared = task.prepare(batch, step, draws_of(batch, step, how.seed))
            return of_prepared(prepared, step, generator)

    def step(batch: Any) -> float:
        loss = trainer.take_parts(partial(shares, batch))["loss"]
        task.after_step(trainer.step - 1)
        return loss

    return step, batches


def operations(run: str, kind: str, threads: int) -> int:
    """Floating point operations of a step, those of one thread that takes it alone."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(1)
    step, batches = training(run, kind, 1)
    # torch does not count fused attention.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step(batches[0])
    torch.set_num_threads(threads)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    main()
