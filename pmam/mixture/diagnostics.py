"""How prototypes behave on frames that they were not fitted to, and what is wrong with a fit."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from pmam.errors import InputError
from pmam.mixture.frame_blocks import Frames, steps_of


class Posteriors(Protocol):
    """What is looked at: prototypes."""

    @property
    def means(self) -> torch.Tensor:
        """`(K, D')`, on the device that computes."""

    def evaluate(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Posteriors `(n, K)` of features `(n, D)`, and their log-likelihoods `(n,)` if any."""


@dataclass(frozen=True, kw_only=True)
class Diagnostics:
    """How prototypes behave on frames that they were not fitted to.

    `log_likelihood` is the mean per frame in nats (None for k-means, which has no density);
    `components_in_use` counts those whose mean posterior is at least 1 / (10 K);
    `mean_max_posterior` is in (0, 1], `mean_entropy` in nats.
    """

    frames: int
    dimensions: int
    components: int
    log_likelihood: float | None
    components_in_use: int
    mean_max_posterior: float
    mean_entropy: float


def posterior_sums(prototypes: Posteriors, frames: Frames) -> torch.Tensor:
    """What `diagnostics_of` needs of features `(N, D)`, `(4 + K,)` in float64; parts add up.

    Sums over frames: one, log-likelihood (NaN where there is none), maximal posterior, entropy,
    then the posterior of each component.
    """
    means = prototypes.means
    total = torch.zeros(4 + len(means), dtype=torch.float64, device=means.device)
    for x in steps_of(frames, means.device):
        posteriors, log_likelihoods = prototypes.evaluate(x)
        total[0] += len(x)
        total[1] += torch.nan if log_likelihoods is None else log_likelihoods.sum()
        total[2] += posteriors.amax(dim=1).sum()
        total[3] -= torch.special.xlogy(posteriors, posteriors).sum()
        total[4:] += posteriors.sum(dim=0)
    return total


def diagnostics_of(sums: torch.Tensor, dimensions: int, *, density: bool) -> Diagnostics:
    """The diagnostics of the frames whose `posterior_sums (4 + K,)` are given.

    `dimensions` is D', that of the means; `density` tells whether there are log-likelihoods.
    """
    frames, likelihood, maxima, entropy = sums[:4].tolist()
    mass = sums[4:]
    if frames == 0:
        raise InputError("held-out frames: got none; expected some: keep more frames aside")
    return Diagnostics(
        frames=int(frames),
        dimensions=dimensions,
        components=len(mass),
        log_likelihood=likelihood / frames if density else None,
        components_in_use=int((mass / frames >= 0.1 / len(mass)).sum()),
        mean_max_posterior=maxima / frames,
        mean_entropy=entropy / frames,
    )


def complaints(diagnostics: Diagnostics, train_log_likelihood: float | None) -> list[str]:
    """What is wrong with a fit, one line each; empty for a good one.

    The thresholds are rules of thumb: a held-out log-likelihood 0.3 nats per dimension below that
    of training (on real recordings diag generalised better than full from about there on), or 3
    above it, half of the components unused, and for a mixture posteriors that are one-hot (mean
    maximum above 0.99) or near uniform (entropy above 0.9 log K).
    """
    d = diagnostics
    found = []
    if d.log_likelihood is not None and train_log_likelihood is not None:
        gap = train_log_likelihood - d.log_likelihood
        if not gap <= 0.3 * d.dimensions:  # NaN complains too
            found.append(
                f"over-fitted: held-out log-likelihood {d.log_likelihood:.1f} per frame against "
                f"{train_log_likelihood:.1f} in training: reduce by PCA, use diag, or more frames"
            )
        if gap < -3 * d.dimensions:
            found.append(
                f"outliers: held-out log-likelihood {d.log_likelihood:.1f} per frame against "
                f"{train_log_likelihood:.4g} in training: some training frames lie far from all "
                "others: look for broken clips with `pmam inspect`"
            )
    if d.components_in_use < 0.5 * d.components:
        found.append(
            f"unused: held-out frames use {d.components_in_use} of {d.components} components: "
            "ask for fewer, or reduce by PCA"
        )
    if d.log_likelihood is not None and d.components > 1:
        if d.mean_max_posterior > 0.99:
            found.append(
                f"one-hot: mean maximal posterior {d.mean_max_posterior:.3f} (mean entropy "
                f"{d.mean_entropy:.3f} nats), no softer than k-means: reduce by PCA, use diag, "
                "or a temperature above 1"
            )
        if d.mean_entropy > 0.9 * math.log(d.components):
            found.append(
                f"uniform: mean entropy {d.mean_entropy:.2f} of at most "
                f"{math.log(d.components):.2f} nats: the components do not differ; ask for fewer"
            )
    return found
