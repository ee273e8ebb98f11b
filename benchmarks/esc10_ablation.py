"""Ablations of PMAM with few labels: ESC-10 soundscapes, real mn04 features.

python benchmarks/esc10_ablation.py --data ESC10 --weights mn04_as_mAP_432.pt --cache CACHE
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from low_label.arms import ARMS, BASELINE, REFERENCE
from low_label.data import TEXTURES, load
from low_label.scoring import NUMBERS
from low_label.workbench import Workbench

from shards.soundscape_types import SoundscapeSettings

# Per number of strong clips: disjoint subsets of each seed's 60 clips.
PARTS = {20: 2, 60: 1}
Results = dict[tuple[str, int], list[dict]]  # of an arm and a number of strong clips


def main() -> None:
    """Do what is not in the cache, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="ESC-10: esc10.csv and audio/")
    parser.add_argument("--weights", type=Path, required=True, help="EfficientAT mn04_as")
    parser.add_argument("--cache", type=Path, required=True, help="features and finished work")
    parser.add_argument("--seed", type=int, default=0, help="of the soundscapes")
    parser.add_argument("--seeds", type=int, default=3, help="pretrainings of each arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), metavar="ARM")
    parser.add_argument("--finished", action="store_true", help="train nothing: print the cache")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    soundscapes = SoundscapeSettings(textures=TEXTURES, seed=arguments.seed)
    data = load(arguments.data, arguments.weights, arguments.cache, soundscapes)
    bench = Workbench(data, arguments.cache / "work")
    results: Results = {}
    nmi: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        for name in arguments.arms:
            if arguments.finished and not finished(bench, name, seed):
                continue
            for strong, parts in PARTS.items():
                runs = [bench.tested(ARMS[name], strong, part, seed) for part in range(parts)]
                results.setdefault((name, strong), []).extend(runs)
            recipe = ARMS[name].recipe
            if recipe is not None:
                nmi.setdefault(name, []).append(bench.kept_nmi(recipe, seed, "test"))
            print(f"seed {seed}: {name}", flush=True)
    arms = [name for name in arguments.arms if (name, min(PARTS)) in results]
    for strong in PARTS:
        print_numbers(strong, arms, results, nmi)
        for other in (REFERENCE, BASELINE):
            if other in arms:
                print_differences(strong, arms, other, results)
    seconds = sum(run["processor_s"] for runs in results.values() for run in runs)
    print(f"\nprocessor time of all arms: {seconds / 60:.0f} min")


def finished(bench: Workbench, name: str, seed: int) -> bool:
    """Whether the cache holds all of an arm with a seed."""
    return all(
        bench.has_tested(ARMS[name], strong, part, seed)
        for strong, parts in PARTS.items()
        for part in range(parts)
    )


def print_numbers(
    strong: int, arms: list[str], results: Results, nmi: dict[str, list[float]]
) -> None:
    """Means over runs, the pairs of a subset and a seed."""
    print(f"\n{strong} strong clips, means over runs")
    print(" " * 24 + "".join(f"{number:>10}" for number in (*NUMBERS, "NMI")) + "      runs")
    for name in arms:
        runs = results[name, strong]
        cells = [np.mean([run["numbers"][number] for run in runs]) for number in NUMBERS]
        shown = [f"{cell:10.3f}" for cell in cells]
        shown += [f"{np.mean(nmi[name]):10.3f}" if name in nmi else " " * 10]
        print(f"  {name:22}" + "".join(shown) + f"{len(runs):10}")


def print_differences(strong: int, arms: list[str], other: str, results: Results) -> None:
    """Mean differences to another arm, with intervals."""
    print(f"\n{strong} strong clips, difference to {other} [95 %] runs above 0")
    print(" " * 24 + "".join(f"{number:<28}" for number in NUMBERS))
    for name in arms:
        if name == other:
            continue
        cells = [difference(results[name, strong], results[other, strong], n) for n in NUMBERS]
        print(f"  {name:22}" + "".join(f"{cell:<28}" for cell in cells))


def difference(first: list[dict], second: list[dict], number: str) -> str:
    """`+0.010 [-0.002, +0.021] 8/9`, over the runs that both have.

    Resamples draw test clips, the same ones for both, and runs.
    """
    runs = min(len(first), len(second))  # runs are in the order of seeds
    pairs = list(zip(first[:runs], second[:runs], strict=True))
    gains = np.array([a["numbers"][number] - b["numbers"][number] for a, b in pairs])  # (runs,)
    drawn = np.array(
        [np.subtract(a["resampled"][number], b["resampled"][number]) for a, b in pairs]
    )
    chosen = np.random.default_rng(0).integers(runs, size=drawn.shape)  # (runs, draws)
    low, high = np.quantile(np.take_along_axis(drawn, chosen, axis=0).mean(axis=0), (0.025, 0.975))
    return f"{gains.mean():+.3f} [{low:+.3f}, {high:+.3f}] {(gains > 0).sum()}/{runs}"


if __name__ == "__main__":
    main()
