"""Ablations of PMAM with few labels: ESC-10 soundscapes, real mn04 features.

    python benchmarks/esc10_ablation.py --data ESC10 --weights mn04_as_mAP_432.pt --cache CACHE

Each arm differs from PMAM's first iteration in one thing; subsets of strong clips and seeds are
paired. Arms are fine-tuned on the strong clips alone, but for the mean teachers, which also see the
weak and unlabelled ones. Pretraining takes 200 steps, half of those of `esc10_low_label.py`, so
that all arms fit into little more than an hour. What is finished stays in CACHE, and a killed run
goes on.

Result of 2026-11-21, default arguments, 300 test clips, 78 minutes of processor time; three seeds,
two subsets of 20 clips and one of 60 for each ("runs"); intervals from resampled clips and runs:

                 20 strong clips                 60 strong clips
                     AP  PSDS1  PSDS2     F1         AP  PSDS1  PSDS2     F1     NMI  runs
supervised         .606   .218   .327   .227       .742   .360   .543   .349          6 + 3
PMAM it. 1         .623   .215   .322   .243       .747   .355   .530   .345    .382  6 + 3
no masking         .660   .255   .393   .260       .747   .364   .531   .351    .382  6 + 3
PMAM it. 2         .615   .212   .298   .259       .753   .384   .544   .336    .336  6 + 3
it. 2, centred     .600   .210   .299   .239       .750   .389   .535   .358    .336  6 + 3
shuffled labels    .613   .213   .336   .233       .753   .373   .539   .371    .015  6 + 3
softmax CE         .638   .228   .333   .253       .749   .362   .521   .343    .382  6 + 3
k-means            .599   .211   .287   .237       .745   .373   .521   .356    .327  6 + 3
mean teacher       .749   .396   .575   .350       .774   .407   .581   .363          6 + 3
mask rate 0.5      .638   .232   .345   .261       .754   .374   .532   .355    .382  6 + 3
mask rate 0.9      .609   .212   .303   .238       .750   .378   .538   .363    .382  6 + 3
InfoNCE            .647   .239   .344   .272       .757   .367   .543   .362    .382  6 + 3
PMAM it. 3         .597   .199   .298   .253       .758   .395   .551   .361    .310  6 + 3
PMAM it. 4         .580   .193   .275   .229       .744   .372   .529   .355    .288  6 + 3
K 10               .612   .215   .299   .249       .745   .373   .513   .361    .305  6 + 3
K 20               .620   .216   .306   .249       .754   .380   .523   .359    .371  6 + 3
K 50               .630   .230   .338   .260       .754   .382   .533   .358    .383  6 + 3
focal              .612   .217   .311   .253       .748   .370   .538   .356    .382  6 + 3
label smoothing    .608   .222   .314   .238       .750   .380   .527   .366    .382  6 + 3
it. 1 + teacher    .764   .399   .592   .347       .789   .429   .605   .386    .382  6 + 3

AP: difference [95 % interval]
                 20: - PMAM it. 1     20: - supervised     60: - PMAM it. 1     60: - supervised
supervised       -.017 [-.033 +.005]                       -.005 [-.021 +.012]
PMAM it. 1                            +.017 [-.005 +.033]                       +.005 [-.012 +.021]
no masking       +.037 [+.020 +.059]  +.054 [+.032 +.074]  -.000 [-.012 +.012]  +.004 [-.008 +.014]
PMAM it. 2       -.008 [-.023 +.009]  +.009 [-.014 +.031]  +.006 [-.009 +.020]  +.010 [-.000 +.019]
it. 2, centred   -.023 [-.036 -.005]  -.006 [-.019 +.008]  +.003 [-.013 +.018]  +.008 [-.003 +.016]
shuffled labels  -.010 [-.025 +.007]  +.007 [-.005 +.022]  +.006 [-.008 +.022]  +.011 [+.002 +.019]
softmax CE       +.015 [+.001 +.031]  +.032 [+.015 +.051]  +.003 [-.007 +.012]  +.007 [-.007 +.020]
k-means          -.024 [-.033 -.010]  -.007 [-.028 +.008]  -.002 [-.014 +.012]  +.003 [-.006 +.013]
mean teacher     +.126 [+.096 +.165]  +.142 [+.121 +.167]  +.027 [+.011 +.041]  +.031 [+.018 +.045]
mask rate 0.5    +.015 [+.006 +.028]  +.032 [+.017 +.049]  +.007 [-.008 +.021]  +.012 [-.003 +.022]
mask rate 0.9    -.014 [-.021 -.006]  +.003 [-.025 +.024]  +.003 [-.003 +.011]  +.008 [-.005 +.023]
InfoNCE          +.024 [+.013 +.036]  +.041 [+.025 +.056]  +.010 [-.001 +.022]  +.014 [+.003 +.027]
PMAM it. 3       -.026 [-.044 -.006]  -.009 [-.037 +.016]  +.011 [-.010 +.028]  +.016 [+.007 +.026]
PMAM it. 4       -.043 [-.059 -.029]  -.026 [-.042 -.011]  -.003 [-.028 +.016]  +.002 [-.015 +.020]
K 10             -.011 [-.027 +.009]  +.006 [-.012 +.024]  -.002 [-.019 +.011]  +.002 [-.010 +.010]
K 20             -.003 [-.028 +.012]  +.014 [-.018 +.037]  +.007 [-.005 +.022]  +.012 [+.001 +.021]
K 50             +.007 [-.005 +.019]  +.024 [-.005 +.045]  +.007 [-.003 +.021]  +.011 [-.001 +.021]
focal            -.011 [-.025 +.001]  +.006 [-.023 +.029]  +.001 [-.011 +.015]  +.006 [-.006 +.016]
label smoothing  -.015 [-.033 +.003]  +.002 [-.031 +.030]  +.003 [-.018 +.026]  +.008 [-.005 +.020]
it. 1 + teacher  +.141 [+.112 +.184]  +.158 [+.135 +.183]  +.042 [+.025 +.059]  +.046 [+.030 +.063]

it. 1 + teacher - mean teacher
                 AP                   PSDS1                PSDS2                F1
20 clips         +.015 [+.006 +.025]  +.003 [-.024 +.029]  +.017 [-.008 +.042]  -.003 [-.026 +.016]
60 clips         +.015 [+.008 +.024]  +.022 [-.007 +.061]  +.024 [-.004 +.063]  +.022 [-.004 +.050]

What these say: at 20 clips and so few steps, a first iteration is not surely better than labels
alone (at 400 steps it is: +0.049 of AP there); masking less is better than masking 0.75, and not
masking at all best; InfoNCE and softmax cross-entropy are ahead of the binary cross-entropy;
k-means is behind the mixture; a second, third or fourth iteration gains nothing, and its pseudo
labels agree less with true ones (NMI). At 60 clips hardly anything is told apart. A mean teacher on
the unlabelled clips is worth more than all of these, and pretraining adds a little to it.
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
