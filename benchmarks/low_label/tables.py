"""Arms side by side: means over runs, and differences with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from low_label.scoring import NUMBERS

# Of an arm and a number of strong clips: what `Workbench.tested` gave, in the order of seeds.
Results = Mapping[tuple[str, int], Sequence[Mapping[str, Any]]]

TITLES = {"frame_ap": "AP", "psds1": "PSDS1", "psds2": "PSDS2", "event_f1": "F1"}


def print_values(
    arms: Sequence[str],
    budgets: Sequence[int],
    results: Results,
    nmi: Mapping[str, Sequence[float]],
) -> None:
    """Each number of each budget, mean over runs; `nmi` of an arm's pseudo labels by seed."""
    print(
        "\n" + " " * 17 + "".join(f"{f'{strong} strong clips':32}" for strong in budgets).rstrip()
    )
    head = "".join(f"{TITLES[number]:>7}" for number in NUMBERS) + "    "
    print(" " * 16 + head * len(budgets) + " NMI  runs")
    for name in arms:
        line = f"{name:16}"
        for strong in budgets:
            runs = results[name, strong]
            means = [np.mean([run["numbers"][number] for run in runs]) for number in NUMBERS]
            line += "".join(f"{short(mean):>7}" for mean in means) + "    "
        line += f"{short(np.mean(nmi[name])) if name in nmi else '':>4}  "
        print(line + " + ".join(str(len(results[name, strong])) for strong in budgets))


def print_differences(
    number: str,
    arms: Sequence[str],
    others: Sequence[str],
    budgets: Sequence[int],
    results: Results,
) -> None:
    """Mean differences in a number of all arms to some, over the runs that both have."""
    columns = [(strong, other) for strong in budgets for other in others if other in arms]
    print(f"\n{TITLES[number]}: difference [95 % interval]")
    titles = [f"{strong}: - {other}" for strong, other in columns]
    print(" " * 17 + "".join(f"{title:21}" for title in titles).rstrip())
    for name in arms:
        cells = [
            "" if name == other else difference(results[name, s], results[other, s], number)
            for s, other in columns
        ]
        print(f"{name:17}" + "".join(f"{cell:21}" for cell in cells).rstrip())


def print_pair(
    first: str, second: str, arms: Sequence[str], budgets: Sequence[int], results: Results
) -> None:
    """Differences of two arms in all numbers."""
    if first not in arms or second not in arms:
        return
    print(f"\n{first} - {second}")
    print(" " * 17 + "".join(f"{TITLES[number]:21}" for number in NUMBERS).rstrip())
    for strong in budgets:
        pair = results[first, strong], results[second, strong]
        cells = "".join(f"{difference(*pair, number):21}" for number in NUMBERS)
        print(f"{f'{strong} clips':17}" + cells.rstrip())


def difference(
    first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]], number: str
) -> str:
    """`+.010 [-.002 +.021]`: resamples draw test clips, the same ones for both, and runs."""
    runs = min(len(first), len(second))
    pairs = list(zip(first[:runs], second[:runs], strict=True))
    gain = np.mean([a["numbers"][number] - b["numbers"][number] for a, b in pairs])
    drawn = np.array(
        [np.subtract(a["resampled"][number], b["resampled"][number]) for a, b in pairs]
    )
    chosen = np.random.default_rng(0).integers(runs, size=drawn.shape)  # (runs, draws)
    low, high = np.quantile(np.take_along_axis(drawn, chosen, axis=0).mean(axis=0), (0.025, 0.975))
    return f"{short(gain, '+')} [{short(low, '+')} {short(high, '+')}]"


def short(value: float | np.floating[Any], sign: str = "") -> str:
    """Three digits, without the zero before the point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1)
