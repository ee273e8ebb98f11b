"""What decides a fit: the settings of the stage `fit`."""

from dataclasses import dataclass
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.identity import at_defaults
from pmam.mixture.settings import Backend
from shards.clip import TRAINING_SUBSETS

Criterion = Literal["held-out", "bic", "silhouette"]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How prototypes are fitted."""

    # Number of prototypes; of several (10,20,30,50) each is tried and the best one taken.
    k: int | tuple[int, ...] = 30
    # The best of several numbers has the highest log-likelihood of clips kept aside, the lowest
    # Bayesian information criterion, or the highest silhouette. k-means, which has no likelihood,
    # goes by the silhouette.
    choose_by: Criterion = "held-out"
    # Gaussian mixture, whose posteriors are soft, or k-means, whose are one-hot.
    kind: Literal["gmm", "kmeans"] = "gmm"
    # Shape of each Gaussian; auto tries all four, and takes what gives clips kept aside the highest
    # likelihood.
    covariance: Literal["full", "tied", "diag", "spherical", "auto"] = "full"
    # Principal components that the mixture sees; None: embeddings as they come; auto tries 8, 16
    # and so on up to 256, and all, as for the covariance. Full covariances in many dimensions fit
    # few frames only too well, and give one-hot posteriors: fewer dimensions, or diag, soften them.
    pca: int | Literal["auto"] | None = 48
    # Above 1 softens the posteriors of the fitted mixture, where they are too nearly one-hot: they
    # are taken to the power of 1 / temperature. EM and likelihoods know nothing of it.
    temperature: float = 1.0
    # EM ends when the log-likelihood per frame, in nats, changes by less.
    tolerance: float = 1e-3
    # Added to the variances, so that none of them vanishes.
    regularisation: float = 1e-6
    # At most so many EM iterations, and of k-means before it.
    iterations: int = 100
    # Share of the clips kept aside, to tell a good fit from a degenerate one: a seeded choice.
    held_out: float = 0.1
    # Begin with the prototypes of the iteration before, carried over by their posteriors; the
    # first iteration has none before it.
    warm_start: bool = False
    # Which clips' embeddings are used.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # 0 fits in this process; 1 and more start Ray Train workers, each with a part of the clips.
    workers: int = 0
    # Of k-means, which EM begins with, in one process: cuml works on frames that fit on a GPU;
    # auto takes it where it is installed, a GPU is there and holds them, and torch elsewhere.
    # Several workers take torch. (PCA comes from moments, which are needed in any case.)
    backend: Backend = "auto"
    # Of the initial centres and of the clips kept aside.
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise PipelineError(f"k: got {self.k!r}; expected positive numbers, each once")
        if not self.temperature > 0 or (self.kind == "kmeans" and self.temperature != 1):
            raise PipelineError(
                f"temperature: got {self.temperature} with kind = {self.kind}; expected a number "
                "above 0, and 1 for kmeans, whose posteriors are one-hot"
            )
        if not 0 < self.held_out < 1:
            raise PipelineError(f"held_out: got {self.held_out}; expected a share between 0 and 1")
        if self.iterations < 1 or self.workers < 0:
            raise PipelineError(
                f"fit: got iterations = {self.iterations}, workers = {self.workers}; "
                "expected at least 1 and 0"
            )
        if self.backend == "cuml" and self.workers:
            raise PipelineError(
                f"fit: got backend = cuml with {self.workers} workers; expected torch or auto: "
                "cuML works on the frames of one process"
            )
        if self.kind == "kmeans" and "auto" in (self.covariance, self.pca):
            raise PipelineError(
                "fit: got kind = kmeans with auto; expected gmm: k-means has no likelihood to "
                "choose by: give pca a number, and leave covariance out"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of prototypes to try."""
        return self.k if isinstance(self.k, tuple) else (self.k,)

    @property
    def identity(self) -> "FitSettings":
        """The same without who does the work: a fit that was killed goes on with other workers."""
        return at_defaults(self, "workers")
