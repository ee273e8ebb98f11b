"""A pretraining that pays at 20 strong clips, against labels alone with the same augmentation.

    python benchmarks/esc10_regime.py --data ESC10 --weights mn04_as_mAP_432.pt --cache CACHE

Data and stages as in `esc10_low_label.py`; the arms are in `low_label/regime.py`: "L" is 1 600
steps with the loss on all frames, masks of .3, noise and mixup; "augmented" is 240 steps of
fine-tuning with noise and mixup; "prototypes too" adds the auxiliary loss of prototypes on
unlabelled clips. Three disjoint subsets of 20 strong clips for each seed, paired. Every number is
of test clips; widths of medians and student or teacher are chosen on validation clips.
"""

from typing import Any

from low_label.command import parser, workbench
from low_label.regime import ARMS, BASELINE, BEST, NO_PROTOTYPES, STRONG
from low_label.tables import print_differences, print_pair, print_values

PARTS = 3


def main() -> None:
    """Train all arms of one seed after the other; the tables grow with each."""
    options = parser(__doc__.splitlines()[0], "folder of features and finished work", seeds=3)
    options.add_argument(
        "--arms", type=int, default=len(ARMS), help="how many arms, from the first"
    )
    arguments = options.parse_args()
    names = list(ARMS)[: arguments.arms]
    with workbench(arguments) as bench:
        results: dict[tuple[str, int], list[dict[str, Any]]] = {(n, STRONG): [] for n in names}
        for seed in range(arguments.seeds):
            for name in names:
                for part in range(PARTS):
                    found = bench.tested(ARMS[name], STRONG, part, seed)
                    results[name, STRONG].append(found)
                    told = " ".join(f"{k} {v:.3f}" for k, v in found["numbers"].items())
                    print(f"seed {seed} part {part} {name:18}{told}", flush=True)
            print_values(names, (STRONG,), results, {})
            others = [name for name in (BASELINE, NO_PROTOTYPES) if name in names]
            for number in ("frame_ap", "psds1", "psds2"):
                print_differences(number, names, others, (STRONG,), results)
            print_pair(BEST, BASELINE, names, (STRONG,), results)
            _print_wins(names, results)


def _print_wins(names: list[str], results: dict[tuple[str, int], list[dict[str, Any]]]) -> None:
    """In how many pairs each arm is above labels alone with the same augmentation."""
    print(f"\npairs above {BASELINE}")
    for name in names:
        pairs = list(zip(results[name, STRONG], results[BASELINE, STRONG], strict=True))
        cells = []
        for number in ("frame_ap", "psds1", "psds2"):
            above = sum(a["numbers"][number] > b["numbers"][number] for a, b in pairs)
            cells.append(f"{number} {above} of {len(pairs)}")
        print(f"{name:18}" + ", ".join(cells))


if __name__ == "__main__":
    main()
