"""Where k-means begins: k-means++ on a sample that fits in memory."""

import math

import numpy as np
import numpy.typing as npt
import torch

from pmam.clustering.distances import squared_distances
from pmam.errors import InputError


def seed_centers(sample: torch.Tensor, components: int, seed: int) -> torch.Tensor:
    """Greedy k-means++ centres `(K, D)` (float64) out of a sample `(n, D)`.

    Each next centre is drawn with probability proportional to the squared distance to the nearest
    one so far; of 2 + log K draws the one that lowers the sum most is taken (Arthur and
    Vassilvitskii, SODA 2007, section 5, as scikit-learn does).
    """
    check_count(len(sample), components)
    mass = sample.new_ones(len(sample), dtype=torch.float64)
    generator = np.random.default_rng(seed)
    trials = 2 + int(math.log(components))
    chosen = [int(generator.integers(len(sample)))]
    nearest = squared_distances(sample, sample[chosen]).squeeze(1).double()  # (n,)
    for _ in range(1, components):
        if float(nearest.sum()) > 0:
            draws = _draw(nearest, generator, trials)
        else:  # fewer distinct frames than centres: any frame is as good
            draws = generator.integers(len(sample), size=trials)
        candidates = squared_distances(sample, sample[torch.as_tensor(draws)]).double()
        potentials = torch.minimum(candidates, nearest[:, None])  # (n, trials)
        best = int((mass @ potentials).argmin())
        chosen.append(int(draws[best]))
        nearest = potentials[:, best]
    return sample[chosen].double()


def check_count(frames: int, components: int) -> None:
    """`InputError` for fewer frames than components."""
    if frames < components:
        raise InputError(
            f"frames: got {frames} for {components} components; "
            "expected at least as many frames: embed more clips or ask for fewer components"
        )


def _draw(mass: torch.Tensor, generator: np.random.Generator, count: int) -> npt.NDArray[np.int64]:
    """Indices `(count,)` with probabilities proportional to `mass (n,)`, with replacement."""
    cumulative = mass.cumsum(0).cpu().numpy()
    draws = generator.random(count) * cumulative[-1]
    found: npt.NDArray[np.int64] = np.searchsorted(cumulative, draws, side="right")
    return found.clip(max=len(mass) - 1)
