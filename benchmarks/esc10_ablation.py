"""Ablations of PMAM with few labels: ESC-10 soundscapes, real mn04 features.

python benchmarks/esc10_ablation.py --data ESC10 --weights mn04_as_mAP_432.pt --cache CACHE
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from low_label.arms import ARMS, BASELINE, REFERENCE, TAUGHT
from low_label.data import TEXTURES, load
from low_label.scoring import NUMBERS
from low_label.tables import print_differences, print_pair, print_values
from low_label.workbench import Workbench

from shards.soundscape_types import SoundscapeSettings

# Per number of strong clips: disjoint subsets of each seed's 60 clips.
PARTS = {20: 2, 60: 1}


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
    results: dict[tuple[str, int], list[dict[str, Any]]] = {}
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
    print_values(arms, list(PARTS), results, nmi)
    for number in NUMBERS:
        print_differences(number, arms, (REFERENCE, BASELINE), list(PARTS), results)
    print_pair(*TAUGHT, arms, list(PARTS), results)
    seconds = sum(run["processor_s"] for runs in results.values() for run in runs)
    print(f"\nprocessor time of all arms: {seconds / 60:.0f} min")


def finished(bench: Workbench, name: str, seed: int) -> bool:
    """Whether the cache holds all of an arm with a seed."""
    return all(
        bench.has_tested(ARMS[name], strong, part, seed)
        for strong, parts in PARTS.items()
        for part in range(parts)
    )


if __name__ == "__main__":
    main()
