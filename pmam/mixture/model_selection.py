"""Which mixtures to try, what each is worth, and which of them to take."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pmam.mixture.settings import CovarianceType, Criterion


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One fit."""

    k: int
    covariance: CovarianceType
    pca: int | None

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"k{self.k}-{self.covariance}-{self.dimensions}"

    @property
    def dimensions(self) -> str:
        """In words."""
        return "all" if self.pca is None else f"pca{self.pca}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a fit is worth.

    Log-likelihoods are means per frame in nats: that of the training frames and of
    held-out ones in the space of the mixture, and of the latter in the full space of the embeddings
    (`pmam.clustering.ppca_residual`), where different numbers of dimensions compare. k-means has
    none.
    """

    k: int
    covariance: CovarianceType
    pca: int | None
    iterations: int
    converged: bool
    reseeded: int
    held_out_log_likelihood: float | None
    components_in_use: int
    mean_max_posterior: float
    mean_entropy: float
    silhouette: float | None
    complaints: tuple[str, ...]
    parameters: int | None = None
    log_likelihood: float | None = None
    bic: float | None = None
    full_space_log_likelihood: float | None = None
    seconds: float

    @property
    def candidate(self) -> Candidate:
        """What was fitted."""
        return Candidate(k=self.k, covariance=self.covariance, pca=self.pca)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Outcome":
        """What `to_json` described."""
        return cls(**{**values, "complaints": tuple(values["complaints"])})


def shapes(
    counts: Sequence[int], covariances: Sequence[CovarianceType], dimensions: Sequence[int | None]
) -> list[Candidate]:
    """Every covariance and dimension to try, with the middle one of the numbers of components."""
    middle = sorted(counts)[len(counts) // 2]
    return [
        Candidate(k=middle, covariance=covariance, pca=pca)
        for pca in dimensions
        for covariance in covariances
    ]


def best_shape(outcomes: Sequence[Outcome]) -> Outcome:
    """The one of highest likelihood of held-out frames, in the full space."""
    return max(outcomes, key=lambda outcome: _number(outcome.full_space_log_likelihood))


def best_count(outcomes: Sequence[Outcome], criterion: Criterion) -> Outcome:
    """The best number of prototypes; of equally good ones the smallest."""

    def worth(outcome: Outcome) -> float:
        if criterion == "silhouette" or outcome.log_likelihood is None:
            return _number(outcome.silhouette)
        if criterion == "bic":
            return _number(None if outcome.bic is None else -outcome.bic)
        return _number(outcome.held_out_log_likelihood)

    return max(sorted(outcomes, key=lambda outcome: outcome.k), key=worth)


def _number(value: float | None) -> float:
    """A missing value, and one that is no number, is worse than any other."""
    return float("-inf") if value is None or value != value else value


def sweep_json(outcomes: Iterable[Outcome], chosen: Outcome) -> dict[str, Any]:
    """What is written of a sweep."""
    return {
        "chosen": chosen.candidate.name,
        "outcomes": [{"name": o.candidate.name, **o.to_json()} for o in outcomes],
    }


def aic(log_likelihood: float, free_parameters: int) -> float:
    """2 p - 2 log L: lower is better (Akaike 1974). `log_likelihood` is the sum over all frames."""
    return 2 * free_parameters - 2 * log_likelihood


def bic(log_likelihood: float, free_parameters: int, frames: int) -> float:
    """p log N - 2 log L: lower is better (Schwarz 1978).

    Frames of one recording resemble each other, so N overstates what they tell apart: compare
    mixtures on the same frames, and look at the held-out likelihood beside it.
    """
    return free_parameters * math.log(frames) - 2 * log_likelihood
