"""Where k-means begins: k-means++ on a sample that fits in memory, k-means|| on all frames."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from pmam.clustering.clusters import cluster_statistics, squared_distances
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Frames, steps_of

Seeding = Literal["k-means++", "k-means||"]
ROUNDS = 5  # of k-means||, and candidates a round as a multiple of K: Bahmani et al., section 5
OVERSAMPLING = 2


def seed_centers(
    sample: torch.Tensor, components: int, seed: int, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Greedy k-means++ centres `(K, D)` (float64) out of a sample `(n, D)`.

    Each next centre is drawn with probability proportional to the squared distance to the nearest
    one so far, times `weights (n,)` where given; of 2 + log K draws the one that lowers the sum
    most is taken (Arthur and Vassilvitskii, SODA 2007, section 5, as scikit-learn does).
    """
    check_count(len(sample), components)
    mass = sample.new_ones(len(sample), dtype=torch.float64) if weights is None else weights
    generator = np.random.default_rng(seed)
    trials = 2 + int(math.log(components))
    first = (
        int(generator.integers(len(sample)))
        if weights is None
        else int(_draw(mass, generator, 1)[0])
    )
    chosen = [first]
    nearest = squared_distances(sample, sample[chosen]).squeeze(1).double()  # (n,)
    for _ in range(1, components):
        potential = nearest * mass
        if float(potential.sum()) > 0:
            draws = _draw(potential, generator, trials)
        else:  # fewer distinct frames than centres: any frame is as good
            draws = generator.integers(len(sample), size=trials)
        candidates = squared_distances(sample, sample[torch.as_tensor(draws)]).double()
        potentials = torch.minimum(candidates, nearest[:, None])  # (n, trials)
        best = int((mass @ potentials).argmin())
        chosen.append(int(draws[best]))
        nearest = potentials[:, best]
    return sample[chosen].double()


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Frames `(m, D)` (float64) that won a race, with their finishing `times (m,)`; adds up.

    Frame x runs for an exponential time of rate weight(x): so the first m are a sample without
    replacement with probabilities proportional to the weights, whoever held which frames
    (Efraimidis and Spirakis 2006).
    """

    frames: torch.Tensor
    times: torch.Tensor
    count: int

    def __add__(self, other: "Candidates") -> "Candidates":
        """The first `count` of both."""
        times = torch.cat([self.times, other.times])
        first = times.sort(stable=True).indices[: self.count]
        frames = torch.cat([self.frames, other.frames])[first]
        return Candidates(frames=frames, times=times[first], count=self.count)


def draw_candidates(
    frames: Frames, centers: torch.Tensor, count: int, generator: np.random.Generator
) -> Candidates:
    """`count` frames, drawn in proportion to the squared distance to the nearest of `centers`.

    One pass; workers that hold different frames add what they drew, each with its own generator.
    Fewer come back where fewer frames lie away from every centre.
    """
    won = Candidates(
        frames=centers.new_empty(0, centers.shape[1]), times=centers.new_empty(0), count=count
    )
    for x in steps_of(frames, centers.device):
        rates = squared_distances(x, centers).amin(dim=1).double()  # (n,)
        draws = torch.as_tensor(generator.exponential(size=len(x)), device=rates.device)
        away = (rates > 0).nonzero().squeeze(1)
        times = draws[away] / rates[away]
        first = times.sort(stable=True).indices[:count]
        won += Candidates(frames=x[away[first]].double(), times=times[first], count=count)
    return won


def seed_parallel(frames: Frames, first: torch.Tensor, components: int, seed: int) -> torch.Tensor:
    """k-means|| centres `(K, D)` (float64) from `first (1, D)`, one uniformly drawn frame.

    Each of a few passes adds 2 K candidates far from those so far; then k-means++ picks K of all
    candidates, each weighted by the frames nearest to it (Bahmani et al., Scalable K-Means++, VLDB
    2012, algorithm 2, with exactly 2 K a round). Sees every frame and holds only candidates, so a
    small, far cluster that a sample lacks is found.
    """
    generator = np.random.default_rng(seed)
    candidates = first.double()
    for _ in range(ROUNDS):
        drawn = draw_candidates(frames, candidates, OVERSAMPLING * components, generator)
        candidates = torch.cat([candidates, drawn.frames])
    lacking = components - len(candidates)
    if lacking > 0:  # fewer distinct frames than centres: some twice
        candidates = torch.cat([candidates, candidates[:1].expand(lacking, -1)])
    counts = cluster_statistics(frames, candidates).counts
    return seed_centers(candidates, components, seed, weights=counts)


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
