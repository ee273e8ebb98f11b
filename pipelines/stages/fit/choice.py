"""Which prototypes to try, what came out of each try, and which of them to take."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipelines.stages.fit.settings import Criterion, FitSettings
from pmam.mixture.settings import COVARIANCE_TYPES, CovarianceType

PCA_TRIED = (8, 16, 32, 64, 128, 256)  # dimensions below the full width, by `auto`


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

    Log-likelihoods are means per frame in nats: that of the training frames and of those kept
    aside in the space of the mixture, and of the latter in the full space of the embeddings
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


def shapes(settings: FitSettings, width: int) -> list[Candidate]:
    """Every covariance and dimension to try, with the middle one of the numbers asked for."""
    covariances = COVARIANCE_TYPES
    if settings.covariance != "auto":
        covariances = (settings.covariance,)
    dimensions: tuple[int | None, ...]
    if settings.pca == "auto":
        dimensions = (*(d for d in PCA_TRIED if d < width), None)
    else:
        dimensions = (settings.pca,)
    counts = sorted(settings.counts)
    middle = counts[len(counts) // 2]
    return [
        Candidate(k=middle, covariance=covariance, pca=pca)
        for pca in dimensions
        for covariance in covariances
    ]


def best_shape(outcomes: Sequence[Outcome]) -> Outcome:
    """The one of highest likelihood of frames kept aside, in the full space."""
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
